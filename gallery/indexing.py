"""Bring an index up to date with a folder of pictures.

Called by ``flask gallery index`` and by the tests; `build` is the only entry. Imports the rest of `gallery`;
the encoder is an argument.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from gallery.about import read_attribution
from gallery.encoding import BATCH_SIZE, Progress, encode_files
from gallery.errors import NoPictureError
from gallery.featurelog import FeatureLog
from gallery.files import writing
from gallery.locks import exclusive
from gallery.reading import Encoder, PictureReader
from gallery.removed import RemovedFeatures
from gallery.reuse import KnownFeatures, Previous
from gallery.scanning import FileIssue, scan
from gallery.thumbnails import Thumbnails
from gallery.writer import write_generation

_LOG = "progress.log"


@dataclass(frozen=True, slots=True)
class Report:
    """Result of a run.

    Attributes
    ----------
    indexed, reused : int
        Number of pictures that were encoded, and of those that had a feature already.
    removed : int
        Number of pictures of the previous generation that are no longer in the index.
    skipped : list of FileIssue
        Path and reason of each file that was left out.
    seconds : float
        Duration of the run.
    generation : str
        The generation in use; the previous one if nothing has changed.
    damaged : list of FileIssue
        Path of each new picture that was used although its file is damaged, or cut off at its end.
    """

    indexed: int
    reused: int
    removed: int
    skipped: list[FileIssue]
    seconds: float
    generation: str
    damaged: list[FileIssue] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of pictures in the index."""
        return self.indexed + self.reused


def build(
    root: Path,
    index_dir: Path,
    encoder: Encoder,
    *,
    thumbnails_dir: Path,
    exclude: Collection[Path] = (),
    ignore: Collection[str] = (),
    replace: bool = False,
    prune: bool = False,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Bring an index up to date with a folder.

    Only new contents are encoded. Features are logged batch by batch, so that an interrupted run resumes.
    Files that cannot be used are reported, and items whose file is missing are removed; their features are
    kept for a while (`gallery.removed`), so that nothing is encoded again if the files come back.

    Parameters
    ----------
    root : Path
        The gallery's folder.
    index_dir : Path
        The index; created if missing.
    encoder : Encoder
        Its fingerprint is stored in the index.
    thumbnails_dir : Path
        Where thumbnails are written.
    exclude : collection of Path
        Folders never to enter, besides the index and the thumbnails; see `gallery.scanning.scan`.
    ignore : collection of str
        Names of files and folders to ignore, besides `gallery.scanning.IGNORED_NAMES`.
    replace : bool
        Accept another folder than that of the index, whose items are then removed.
    prune : bool
        Accept that many items are missing: more than five, and more than a tenth of all.
    batch_size : int
        Number of pictures encoded together.
    workers : int, optional
        Number of threads that read and decode; one for each core by default.
    progress : callable, optional
        Called with the number of files done and the number of all files.

    Raises
    ------
    IndexBusyError
        Another process is indexing.
    OtherGalleryError, ManyMissingError
        `replace` or `prune` is needed.
    NoPictureError
        No picture can be used.
    StoreError
        The index cannot be written. After every error, the generation in use stays in use.
    """
    started, root = time.monotonic(), root.expanduser().resolve()
    with (
        writing(index_dir),
        exclusive(index_dir),
        Previous(index_dir, root, encoder.fingerprint) as previous,
        RemovedFeatures(index_dir, encoder.fingerprint) as departed,
    ):
        if not replace:
            previous.check_root(root)
        scanned, attribution = time.time_ns(), read_attribution(root)
        files, skipped = scan(root, [*exclude, index_dir, thumbnails_dir], ignore)
        with FeatureLog(index_dir / _LOG, encoder.fingerprint) as feature_log:
            known = KnownFeatures(feature_log.dim, previous, feature_log, departed)
            logged = len(feature_log)
            reader = PictureReader(root, encoder, known.info, Thumbnails(thumbnails_dir))
            hashed, refused = encode_files(
                files, reader, encoder, feature_log,
                unchanged=previous.unchanged, batch_size=batch_size, workers=workers, progress=progress,
            )  # fmt: skip
            skipped = sorted(skipped + refused)
            if not hashed:
                raise _no_picture(root, skipped)
            items = [known.item(each) for each in hashed]
            if not prune:
                previous.check_missing(items, root)
            generation = previous.same(items, attribution) or write_generation(
                index_dir, items, known.blocks(items), model=encoder.name, fingerprint=encoder.fingerprint,
                root=root, attribution=attribution, scanned=scanned,
            )  # fmt: skip
            indexed = len(feature_log) - logged
        (index_dir / _LOG).unlink()
        departed.keep(previous.left(items))
        removed = previous.removed(items)
    seconds = time.monotonic() - started
    return Report(
        indexed, len(items) - indexed, removed, skipped, seconds, generation, sorted(reader.damaged)
    )


def _no_picture(root: Path, skipped: list[FileIssue]) -> NoPictureError:
    # An error instead of an empty index: the folder may be empty because its disk is not mounted.
    first = f", such as {skipped[0].path} ({skipped[0].reason})" if skipped else ""
    return NoPictureError(f"No picture in {root} can be used; files skipped: {len(skipped)}{first}.")
