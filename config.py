"""Environment to one typed settings object.

Every setting is listed in `VARIABLES` and read here, nowhere else. A missing or senseless value raises
`SettingsError` at start, with the name of the variable, what was found and what would be right.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from model.config import HIGHEST_MAX_PIXELS, POSITION_MODES, PREPROCESS_MODES

ROOT = Path(__file__).resolve().parent
BUNDLED_MODEL = "vitrine-small"
BUNDLED_WEIGHTS = ROOT / "model" / "bundled" / f"{BUNDLED_MODEL}.safetensors"
FORMER_MODEL = "compact"  # bundled with earlier versions
DATABASE_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


class Variable(NamedTuple):
    """One environment variable."""

    name: str
    default: str  # empty: nothing is set, and `otherwise` says in words what then holds
    help: str
    otherwise: str = ""
    secret: bool = False  # never shown: a key, or an address that may hold a password


# `.env.example` is made from this table (python -m scripts.env_example), and tests hold the READMEs to it.
VARIABLES = (
    Variable("APP_ENV", "development", "`production` requires SECRET_KEY and sends cookies over HTTPS only"),
    Variable("SECRET_KEY", "", "Signs cookies: openssl rand -hex 32", "made once, kept in DATA_DIR", True),
    Variable("DATA_DIR", "var", "Database, uploads, models, indexes and thumbnails"),
    Variable("DATABASE_URL", "", "postgresql://USER:PASSWORD@HOST/DATABASE", "SQLite in DATA_DIR", True),
    Variable("REDIS_URL", "redis://127.0.0.1:6379/0", "The queue: redis://, rediss:// or unix://", "", True),
    Variable("MODEL", BUNDLED_MODEL, "The bundled model, or an official name such as dinov2-base"),
    Variable("MODEL_PATH", "", "A checkpoint of your own", "the file that MODEL names"),
    Variable("PREPROCESS", "official", f"How a picture is resized: {', '.join(PREPROCESS_MODES)}"),
    Variable("POSITIONS", "", f"Position embeddings: {', '.join(POSITION_MODES)}", "the checkpoint's choice"),
    Variable("DINOV2_MIRROR", "", "A mirror of the official DINOv2 checkpoints", "their home"),
    Variable("HF_ENDPOINT", "", "The Hugging Face hub or a mirror of it, as a second source", "not asked"),
    Variable("HOST", "127.0.0.1", "The address that the web process listens on"),
    Variable("PORT", "8000", "The port that the web process listens on"),
    Variable("WORKERS", "1", "Search processes that one `python -m worker` keeps running"),
    Variable("WEB_THREADS", "8", "Threads of the web process"),
    Variable("GALLERY_IGNORE", "", "Names to ignore when indexing: raw,*.tmp", "only those of other systems"),
    Variable("MAX_UPLOAD_MB", "20", "Larger pictures are refused"),
    Variable(
        "MAX_PIXELS", "40000000", "Pictures with more pixels are refused; JPEG may have 8 times as many"
    ),
    Variable("MAX_QUEUE", "500", "Searches that may wait; beyond that, 503"),
    Variable("MAX_PENDING_PER_OWNER", "20", "Searches that one visitor may have waiting; beyond that, 429"),
    Variable("VISITOR_SHARE", "80", "Percent of MAX_QUEUE that searches without an account may fill"),
    Variable(
        "VISITOR_SEARCHES_PER_MINUTE", "120", "Searches of one address without an account; beyond that, 429"
    ),
    Variable("VISITOR_STORAGE_MB", "2048", "Disk space for the pictures of all visitors together"),
    Variable("ACCOUNT_STORAGE_MB", "1024", "Disk space for the pictures of one account"),
    Variable("JOB_TIMEOUT", "60", "Seconds that one search may take"),
    Variable("PROXY_HOPS", "0", "Proxies in front whose X-Forwarded-* headers are believed"),
    Variable(
        "TRUSTED_HOSTS",
        "",
        "Host names to answer to, separated by commas",
        "any; loopback names only if HOST is one",
    ),
    Variable("LOG_LEVEL", "INFO", "How much is logged: DEBUG, INFO, WARNING or ERROR"),
)
_DEFAULTS = {variable.name: variable.default for variable in VARIABLES}


class SettingsError(ValueError):
    """A setting is missing or makes no sense; the message names the variable and the fix."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that may differ between two installations; `VARIABLES` explains each value.

    Attributes
    ----------
    database_url : str
        The address with the name of its SQLAlchemy driver.
    model : str
        ``vitrine-small``, an official name such as ``dinov2-base``, or the stem of `model_path`.
    model_path : Path
        The checkpoint that `model` names.
    preprocess, positions : str
        Both are part of an index's fingerprint.
    """

    secret_key: str
    database_url: str
    redis_url: str
    data_dir: Path
    model: str
    model_path: Path
    preprocess: str
    positions: str
    host: str
    port: int
    workers: int
    web_threads: int
    gallery_ignore: tuple[str, ...]
    max_upload_mb: int
    max_pixels: int
    max_queue: int
    max_pending_per_owner: int
    visitor_share: int
    visitor_searches_per_minute: int
    visitor_storage_mb: int
    account_storage_mb: int
    job_timeout: int
    dinov2_mirror: str
    hf_endpoint: str
    production: bool
    proxy_hops: int
    trusted_hosts: tuple[str, ...]
    log_level: str

    @property
    def uploads_dir(self) -> Path:
        """Where query pictures lie."""
        return self.data_dir / "uploads"

    @property
    def temporary_dir(self) -> Path:
        """Where large requests lie while they are received."""
        return self.data_dir / "tmp"

    @property
    def index_dir(self) -> Path:
        """The index of the model in use; other models' indexes lie beside it."""
        return self.data_dir / "indexes" / self.model

    @property
    def thumbnails_dir(self) -> Path:
        """Thumbnails by content; every model's index shares them."""
        return self.data_dir / "thumbnails"

    @property
    def models_dir(self) -> Path:
        """Where fetched checkpoints lie."""
        return self.data_dir / "models"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment, and from ``.env`` beside this file where one lies.

    Parameters
    ----------
    environ : mapping, optional
        Stands in for ``os.environ``; ``.env`` is then not read.

    Raises
    ------
    SettingsError
        A value is missing or senseless.
    """
    if environ is None:
        from dotenv import load_dotenv

        load_dotenv(ROOT / ".env")
        environ = os.environ
    read = _Reader(environ)
    production = read.choice("APP_ENV", ("development", "production")) == "production"
    data_dir = _data_dir(read)
    model, model_path = _model(read, data_dir)
    return Settings(
        secret_key=_secret_key(read, data_dir, production),
        database_url=_database_url(read, data_dir),
        redis_url=_redis_url(read, data_dir),
        data_dir=data_dir,
        model=model,
        model_path=model_path,
        preprocess=read.choice("PREPROCESS", PREPROCESS_MODES),
        positions=read.choice("POSITIONS", ("", *POSITION_MODES)),
        host=read.text("HOST"),
        port=read.number("PORT", 1, 65535),
        workers=read.number("WORKERS", 1, 64),
        web_threads=read.number("WEB_THREADS", 1, 64),
        gallery_ignore=read.list("GALLERY_IGNORE"),
        max_upload_mb=read.number("MAX_UPLOAD_MB", 1, 1024),
        max_pixels=read.number("MAX_PIXELS", 1_000_000, HIGHEST_MAX_PIXELS),
        max_queue=read.number("MAX_QUEUE", 1, 1_000_000),
        max_pending_per_owner=read.number("MAX_PENDING_PER_OWNER", 1, 10_000),
        visitor_share=read.number("VISITOR_SHARE", 0, 100),
        visitor_searches_per_minute=read.number("VISITOR_SEARCHES_PER_MINUTE", 1, 1_000_000),
        visitor_storage_mb=read.number("VISITOR_STORAGE_MB", 1, 100_000_000),
        account_storage_mb=read.number("ACCOUNT_STORAGE_MB", 1, 100_000_000),
        job_timeout=read.number("JOB_TIMEOUT", 1, 3600),
        dinov2_mirror=read.address("DINOV2_MIRROR"),
        hf_endpoint=read.address("HF_ENDPOINT"),
        production=production,
        proxy_hops=read.number("PROXY_HOPS", 0, 8),
        trusted_hosts=_trusted_hosts(read),
        log_level=read.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR")),
    )


def public_values(settings: Settings) -> dict[str, str | None]:
    """Return each variable's value in `settings` as text; None for those that are secret."""
    shown = {name.upper(): value for name, value in asdict(settings).items()} | {
        "APP_ENV": "production" if settings.production else "development",
        "TRUSTED_HOSTS": ",".join(settings.trusted_hosts),
        "GALLERY_IGNORE": ",".join(settings.gallery_ignore),
    }
    return {each.name: None if each.secret else str(shown[each.name]) for each in VARIABLES}


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def given(self, name: str) -> str:
        """Return what the environment says, empty where it says nothing; `name` is one of `VARIABLES`."""
        if name not in _DEFAULTS:
            raise KeyError(f"{name} is not in VARIABLES")
        return self._environ.get(name, "").strip()

    def text(self, name: str) -> str:
        return self.given(name) or _DEFAULTS[name]

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in allowed:
            choices = ", ".join(filter(None, allowed))
            raise SettingsError(f"{name} is {value!r}; it must be one of: {choices}.")
        return value

    def list(self, name: str) -> tuple[str, ...]:
        return tuple(filter(None, map(str.strip, self.text(name).split(","))))

    def address(self, name: str) -> str:
        value = self.text(name)
        if value and not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value):
            raise SettingsError(
                f"{name} is {value!r}; it must be a web address such as https://mirror.example/dinov2."
            )
        return value

    def number(self, name: str, low: int, high: int) -> int:
        value = self.text(name)
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise SettingsError(f"{name} is {value!r}; it must be a whole number from {low} to {high}.")
        return int(value)


def _data_dir(read: _Reader) -> Path:
    """Return DATA_DIR; the default lies in the checkout, from whatever folder a command is run."""
    given = read.given("DATA_DIR")
    return Path(given).expanduser().resolve() if given else ROOT / read.text("DATA_DIR")


def _model(read: _Reader, data_dir: Path) -> tuple[str, Path]:
    """MODEL_PATH wins over MODEL; a name stands for the checkpoint that ``flask model fetch`` installs."""
    name, path = read.given("MODEL"), read.given("MODEL_PATH")
    if name and not all(part.isalnum() for part in name.replace("_", "-").split("-")):
        raise SettingsError(f"MODEL is {name!r}; a name has only letters, digits and hyphens (dinov2-base).")
    if path:
        model_path = Path(path).expanduser().resolve()
        return name or model_path.stem, model_path
    if name in ("", BUNDLED_MODEL):
        return BUNDLED_MODEL, BUNDLED_WEIGHTS
    if name == FORMER_MODEL:
        raise SettingsError(
            f"MODEL is {FORMER_MODEL!r}, which {BUNDLED_MODEL} has replaced; unset MODEL, or name that one."
        )
    return name, data_dir / "models" / f"{name}.safetensors"


def redis_address_file(data_dir: Path) -> Path:
    """Where ``make run`` says how to reach the Redis it has started, for commands run beside it."""
    return data_dir / "redis" / "address"


def _redis_url(read: _Reader, data_dir: Path) -> str:
    address = redis_address_file(data_dir)
    started = address.read_text().strip() if address.is_file() else ""
    url = read.given("REDIS_URL") or started or read.text("REDIS_URL")
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise SettingsError("REDIS_URL must begin with redis://, rediss:// or unix://.")
    return url


def _database_url(read: _Reader, data_dir: Path) -> str:
    """Return the URL with its driver; hosting services hand out ``postgres://``."""
    from sqlalchemy import URL  # quotes what is not allowed in a URL, such as % and ?

    own = URL.create("sqlite", database=str(data_dir / "vitrine.db"))
    url = read.given("DATABASE_URL") or own.render_as_string(hide_password=False)
    scheme, separator, rest = url.partition("://")
    driver = DATABASE_DRIVERS.get(scheme)
    if not separator or driver is None or (driver == "sqlite" and not rest.strip("/")):
        raise SettingsError(
            "DATABASE_URL must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    return f"{driver}://{rest}"


def _trusted_hosts(read: _Reader) -> tuple[str, ...]:
    names = [name.strip().lower() for name in read.text("TRUSTED_HOSTS").split(",") if name.strip()]
    for name in names:
        if not re.fullmatch(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]", name):
            raise SettingsError(
                f"TRUSTED_HOSTS has {name!r}; it must be a name without https://, port and path, such as"
                " pictures.example.org, .example.org for all names below it, or an address such as [::1]."
            )
    return tuple(names)


def _secret_key(read: _Reader, data_dir: Path, production: bool) -> str:
    """Return the key from the environment; in development, one made on the first start and then kept."""
    key = read.given("SECRET_KEY")
    if key:
        if len(key) < 16:
            raise SettingsError("SECRET_KEY is shorter than 16 characters; make one: openssl rand -hex 32")
        return key
    if production:
        raise SettingsError("SECRET_KEY is not set; production needs one; make it with: openssl rand -hex 32")
    path = data_dir / "secret_key"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, secrets.token_hex(32))
        return path.read_text().strip()
    except OSError as error:
        raise SettingsError(
            f"DATA_DIR {data_dir} cannot be used ({error.strerror}); choose another."
        ) from error


def _write_once(path: Path, text: str) -> None:
    """Write a private file that appears whole; of several processes that try, the first one's text stays."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    try:
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
