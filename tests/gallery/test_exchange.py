"""Export and import of features as ``.npz``, and the files that an import refuses."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gallery.catalog import thumbnail_file
from gallery.errors import StoreError
from gallery.exchange import Imported, export_npz, import_npz
from tests.support.index import Index

D = 64


@pytest.fixture
def exported(index: Index, tmp_path: Path) -> Path:
    index.build()
    assert export_npz(index.folder, tmp_path / "index.npz") == 12
    return tmp_path / "index.npz"


def import_some(index: Index, source: Path, root: Path | None = None) -> Imported:
    return import_npz(
        source, index.folder, root=root, model="tiny", fingerprint=index.encoder.fingerprint,
        thumbnails_dir=index.thumbnails,
    )  # fmt: skip


def npz(tmp_path: Path, **arrays: Any) -> Path:
    good = {"features": np.eye(3, D, dtype=np.float32), "paths": np.array(["a.jpg", "b.jpg", "c.jpg"])}
    np.savez(tmp_path / "some.npz", **(good | arrays))
    return tmp_path / "some.npz"


def test_features_and_paths_are_plain_arrays(exported: Path) -> None:
    with np.load(exported, allow_pickle=False) as arrays:
        assert set(arrays) == {"features", "paths"}
        assert (arrays["features"].dtype, arrays["features"].shape) == (np.float32, (12, D))
        assert arrays["paths"].dtype.kind == "U"
        assert arrays["paths"][0] == "a/000.jpg"


def test_an_imported_export_gives_the_same_index(index: Index, exported: Path, tmp_path: Path) -> None:
    with index.open() as before:
        index.folder, index.thumbnails = tmp_path / "second", tmp_path / "second thumbnails"
        assert import_some(index, exported, index.root).absent == []
        with index.open(expected=index.encoder.fingerprint) as after:
            np.testing.assert_allclose(after.features, before.features, atol=1e-7)
            assert after.catalog.page(0, 20) == before.catalog.page(0, 20)
            assert after.catalog.manifest.root == str(index.root)
            assert thumbnail_file(index.thumbnails, after.catalog.at(0).sha256).exists()
    assert index.build().indexed == 0


def test_features_of_any_length_type_and_order_are_imported(index: Index, tmp_path: Path) -> None:
    features = np.asfortranarray(np.random.default_rng(0).standard_normal((3, D)) * 50)
    paths = np.array(["z.jpg", "b\\c.jpg", "./a.jpg"])
    done = import_some(index, npz(tmp_path, features=features, paths=paths), tmp_path)
    assert done.absent == [("a.jpg", "missing"), ("b/c.jpg", "missing"), ("z.jpg", "missing")]
    with index.open() as store:
        assert [item.path for item in store.catalog.page(0, 9)] == ["a.jpg", "b/c.jpg", "z.jpg"]
        (item, cosine), *_ = store.search(features[1], 1)
        assert (item.path, item.sha256) == ("b/c.jpg", "")
        assert cosine == pytest.approx(1, abs=1e-6)


def test_absolute_paths_are_accepted_in_the_folder_that_somebody_named(index: Index, tmp_path: Path) -> None:
    paths = np.array([str(index.root / name) for name in ("a/000.jpg", "b/001.png", "b/none.png")])
    with pytest.raises(StoreError, match=f"--root.* All paths are in {index.root}"):
        import_some(index, npz(tmp_path, paths=paths))
    done = import_some(index, npz(tmp_path, paths=paths), index.root)
    assert done.absent == [("b/none.png", "missing")]
    with index.open() as store:
        assert store.catalog.manifest.root == str(index.root)
        assert store.catalog.at(0).width == 64


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features": np.eye(3, D + 1, dtype=np.float32)}, f"must be floats of shape \\(n, {D}\\)"),
        ({"features": np.eye(3, D, dtype=np.int32)}, "must be floats"),
        ({"features": np.ones(3, np.float32)}, "must be floats"),
        ({"features": np.empty((0, D), np.float32), "paths": np.empty(0, "U5")}, "does not contain"),
        ({"features": np.eye(3, D) * np.nan}, "'a.jpg' has no direction"),
        ({"features": np.eye(2, D)[[0, 1, 1]] * [[1], [1], [0]]}, "'c.jpg' has no direction"),
        ({"features": np.full((3, D), np.inf)}, "no direction"),
        ({"paths": np.array(["a.jpg", "b.jpg"])}, "3 features and 2 paths"),
        ({"paths": np.array(["a.jpg", "b.jpg", "./a.jpg"])}, "is repeated"),
        ({"paths": np.array(["a.jpg", "b.jpg", "../c.jpg"])}, "is not in"),
        ({"paths": np.array(["a.jpg", "b.jpg", "/etc/passwd"])}, "is not in"),
        ({"paths": np.array(["a.jpg", "b.jpg", ""])}, "is not a path"),
        ({"paths": np.array(["a.jpg", "b.jpg", "c\0d"])}, "is not a path"),
        ({"paths": np.array(["a.jpg", "b.jpg", "\ud800"])}, "is not a path"),
        ({"paths": np.array([1, 2, 3])}, "must be text"),
        ({"paths": np.array(["a.jpg", None, "c.jpg"], dtype=object)}, "must be text"),
    ],
)
def test_arrays_that_cannot_be_an_index_are_refused(
    index: Index, tmp_path: Path, arrays: Any, message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        import_some(index, npz(tmp_path, **arrays), tmp_path)
    assert not (index.folder / "CURRENT").exists()


def test_without_a_root_the_folder_of_the_index_in_use_is_meant(index: Index, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="--root"):
        import_some(index, npz(tmp_path))
    index.build()
    import_some(index, npz(tmp_path))
    with index.open() as store:
        assert (store.catalog.manifest.root, len(store)) == (str(index.root), 3)
    with pytest.raises(StoreError, match="is not in"):
        import_some(index, npz(tmp_path, paths=np.array(["a.jpg", "b.jpg", "/etc/passwd"])))


def test_a_damaged_pickled_or_lying_file_is_refused(index: Index, tmp_path: Path) -> None:
    header = io.BytesIO()
    claimed = {"descr": "<f4", "fortran_order": False, "shape": (9_000_000, D)}
    np.lib.format.write_array_header_1_0(header, claimed)
    bomb, pickled = tmp_path / "bomb.npz", tmp_path / "pickled.npz"
    with zipfile.ZipFile(bomb, "w") as archive:
        archive.writestr("features.npy", header.getvalue())
        archive.writestr("paths.npy", header.getvalue())
    pickled.write_bytes(b"\x80\x04N.")
    (tmp_path / "half.npz").write_bytes(npz(tmp_path).read_bytes()[:-40])
    with pytest.raises(StoreError, match="does not contain the 9000000 rows"):
        import_some(index, bomb, tmp_path)
    for source in (pickled, tmp_path / "half.npz", tmp_path / "none.npz"):
        with pytest.raises(StoreError):
            import_some(index, source, tmp_path)


def test_an_export_that_cannot_be_written_leaves_nothing(index: Index, tmp_path: Path) -> None:
    index.build()
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(StoreError):
        export_npz(index.folder, target)
    assert sorted(path.name for path in tmp_path.glob("folder*")) == ["folder"]
