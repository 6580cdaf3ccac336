"""Environment to one typed settings object.

Every setting is read here and nowhere else. A missing or senseless value raises `SettingsError` at start,
with the name of the variable, what was found and what would be right.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from model.config import POSITION_MODES, PREPROCESS_MODES

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


class SettingsError(ValueError):
    """A setting is missing or makes no sense; the message names the variable and the mend."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that may differ between two installations.

    Attributes
    ----------
    secret_key : str
        Signs cookies and forms. Required in production; elsewhere made once and kept in `data_dir`.
    database_url : str
        SQLAlchemy URL; SQLite in `data_dir` unless set.
    redis_url : str
        ``redis://``, ``rediss://`` or ``unix://``.
    data_dir : Path
        Everything Vitrine writes: database, uploads, models, indexes, thumbnails.
    model : str
        Name of the model in use: ``vitrine-small``, an official name such as ``dinov2-base``, or the stem of
        `model_path`.
    model_path : Path
        The checkpoint that `model` names.
    preprocess, positions : str
        How a picture becomes a tensor, and how positions are interpolated; both are part of an index's
        fingerprint. `positions` is empty where the checkpoint's own choice holds.
    dinov2_mirror, hf_endpoint : str
        A mirror that official checkpoints are fetched from instead of their home, and the Hugging Face hub or
        a mirror of it as a second resort. Empty where not set.
    workers : int
        Search processes that one ``python -m worker`` keeps running.
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
    max_upload_mb: int
    max_queue: int
    max_pending_per_owner: int
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
    production = read.choice("APP_ENV", "development", ("development", "production")) == "production"
    data_dir = Path(read.text("DATA_DIR", str(ROOT / "var"))).expanduser().resolve()
    model, model_path = _model(read, data_dir)
    return Settings(
        secret_key=_secret_key(read, data_dir, production),
        database_url=_database_url(read, data_dir),
        redis_url=_redis_url(read, data_dir),
        data_dir=data_dir,
        model=model,
        model_path=model_path,
        preprocess=read.choice("PREPROCESS", "official", PREPROCESS_MODES),
        positions=read.choice("POSITIONS", "", ("", *POSITION_MODES)),
        host=read.text("HOST", "127.0.0.1"),
        port=read.number("PORT", 8000, 1, 65535),
        workers=read.number("WORKERS", 1, 1, 64),
        web_threads=read.number("WEB_THREADS", 8, 1, 64),
        max_upload_mb=read.number("MAX_UPLOAD_MB", 20, 1, 1024),
        max_queue=read.number("MAX_QUEUE", 500, 1, 1_000_000),
        max_pending_per_owner=read.number("MAX_PENDING_PER_OWNER", 20, 1, 10_000),
        job_timeout=read.number("JOB_TIMEOUT", 60, 1, 3600),
        dinov2_mirror=read.address("DINOV2_MIRROR"),
        hf_endpoint=read.address("HF_ENDPOINT"),
        production=production,
        proxy_hops=read.number("PROXY_HOPS", 0, 0, 8),
        trusted_hosts=tuple(filter(None, map(str.strip, read.text("TRUSTED_HOSTS", "").split(",")))),
        log_level=read.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    )


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, "").strip() or default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in allowed:
            choices = ", ".join(filter(None, allowed))
            raise SettingsError(f"{name} is {value!r}; it must be one of: {choices}.")
        return value

    def address(self, name: str) -> str:
        value = self.text(name, "")
        if value and not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", value):
            raise SettingsError(
                f"{name} is {value!r}; it must be a web address such as https://mirror.example/dinov2."
            )
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name, str(default))
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise SettingsError(f"{name} is {value!r}; it must be a whole number from {low} to {high}.")
        return int(value)


def _model(read: _Reader, data_dir: Path) -> tuple[str, Path]:
    """MODEL_PATH wins over MODEL; a name stands for the checkpoint that ``flask model fetch`` installs."""
    name, path = read.text("MODEL", ""), read.text("MODEL_PATH", "")
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
    default = address.read_text().strip() if address.is_file() else "redis://127.0.0.1:6379/0"
    url = read.text("REDIS_URL", default)
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise SettingsError("REDIS_URL must begin with redis://, rediss:// or unix://.")
    return url


def _database_url(read: _Reader, data_dir: Path) -> str:
    """Return the URL with its driver; hosting services hand out ``postgres://``."""
    url = read.text("DATABASE_URL", f"sqlite:///{data_dir / 'vitrine.db'}")
    scheme, separator, rest = url.partition("://")
    driver = DATABASE_DRIVERS.get(scheme)
    if not separator or driver is None or (driver == "sqlite" and not rest.strip("/")):
        raise SettingsError(
            "DATABASE_URL must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    return f"{driver}://{rest}"


def _secret_key(read: _Reader, data_dir: Path, production: bool) -> str:
    """Return the key from the environment; in development, one made on the first start and then kept."""
    key = read.text("SECRET_KEY", "")
    if key:
        if len(key) < 16:
            raise SettingsError("SECRET_KEY is shorter than 16 characters; make one: openssl rand -hex 32")
        return key
    if production:
        raise SettingsError("SECRET_KEY is not set; production needs one of its own: openssl rand -hex 32")
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
