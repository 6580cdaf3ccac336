"""Install an official checkpoint in the folder where the settings look for it.

``flask model fetch`` calls `fetch`. Imports `model.transfer` and the other modules of `model.checkpoints`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from model import transfer
from model.checkpoints import registry
from model.checkpoints.convert import convert
from model.checkpoints.registry import OfficialCheckpoint
from model.checkpoints.weights import open_weights
from model.errors import CheckpointError, DownloadError
from model.transfer.partfile import Check


def fetch(
    name: str,
    models_dir: Path,
    *,
    file: Path | None = None,
    mirror: str = "",
    hub: str = "",
    progress: transfer.Progress | None = None,
    notice: Callable[[str], None] | None = None,
) -> Path:
    """Install an official checkpoint, unless it is already installed.

    The official ``.pth`` is downloaded (an interrupted download resumes), its SHA-256 is checked, and it is
    converted to ``<models_dir>/<name>.safetensors``, which appears when it is complete.

    Parameters
    ----------
    name : str
        One of `registry.CHECKPOINTS`.
    models_dir : Path
        Created if missing.
    file : Path, optional
        The official file, downloaded by hand. It is checked and installed in the same way, and not removed.
    mirror : str, optional
        Address to use instead of ``https://dl.fbaipublicfiles.com/dinov2``.
    hub : str, optional
        Address of the Hugging Face hub or a mirror of it, tried when the official download fails. Its file
        comes from a pinned revision, but its checksum is unknown: only names and shapes of its tensors can be
        checked.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes.
    notice : callable, optional
        Called with a line for the user when the hub is tried.

    Returns
    -------
    Path
        The installed checkpoint.

    Raises
    ------
    CheckpointError
        The name is unknown, or the file is not the official one.
    DownloadError
        The download failed; the message says in one line why, and how to download the file by hand.
    """
    checkpoint = registry.find(name)
    target = models_dir / f"{name}.safetensors"
    if file is None and target.is_file():
        return target
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"{models_dir} cannot be created: {error.strerror}.") from error
    if file is not None:
        _check_by_hand(file, checkpoint)
        return _install(file, target, checkpoint)
    source = _download(checkpoint, models_dir, mirror, hub, progress, notice or (lambda line: None))
    try:
        _install(source, target, checkpoint)
    except CheckpointError:
        # Keep the verified file for the next attempt: the disk may have been full.
        if source.name != checkpoint.file_name:
            source.unlink()
        raise
    source.unlink()
    return target


def _download(
    checkpoint: OfficialCheckpoint,
    folder: Path,
    mirror: str,
    hub: str,
    progress: transfer.Progress | None,
    notice: Callable[[str], None],
) -> Path:
    try:
        return transfer.download(
            checkpoint.url(mirror or registry.OFFICIAL_BASE),
            folder / checkpoint.file_name,
            sha256=checkpoint.sha256,
            size=checkpoint.size,
            progress=progress,
        )
    except DownloadError as error:
        fallback = checkpoint.hub_url(hub) if hub else ""
        if not fallback:
            raise
        notice(f"{error} Trying {fallback}; its checksum is unknown, so its tensors will be checked.")
        limits = transfer.Limits(max_bytes=2 * checkpoint.about_bytes)
        unchecked = folder / f"{checkpoint.name}-hub.safetensors"
        return transfer.download(fallback, unchecked, limits=limits, progress=progress)


def _check_by_hand(file: Path, checkpoint: OfficialCheckpoint) -> None:
    try:
        fault = Check("sha256", checkpoint.sha256, checkpoint.size).fault(file)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}.") from error
    if fault is not None:
        hint = f"To use another checkpoint, run flask model convert {file} DST, and set MODEL_PATH to DST."
        raise CheckpointError(f"{file} is not the official {checkpoint.file_name}: {fault}. {hint}")


def _install(source: Path, target: Path, checkpoint: OfficialCheckpoint) -> Path:
    with open_weights(source) as weights:
        found = (weights.config.width, weights.config.depth, weights.config.registers)
    if found != (checkpoint.dim, checkpoint.depth, checkpoint.registers):
        width, depth, registers = found
        raise CheckpointError(
            f"{source} is not {checkpoint.name}: width {width}, depth {depth}, {registers} registers."
        )
    convert(source, target)
    return target
