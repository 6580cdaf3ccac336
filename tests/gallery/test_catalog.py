"""The catalogue: the items of an index, as the pages read them."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gallery.catalog import Catalog, item_id
from gallery.errors import IndexMissingError, ItemMissingError, StoreError
from tests.support.galleries import write_picture
from tests.support.index import Index

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def catalog(index: Index) -> Catalog:
    index.build()
    return Catalog.open(index.folder)


def test_pages_are_sorted_by_path_and_rows_follow(catalog: Catalog) -> None:
    everything = catalog.page(0, 100)
    assert [item.path for item in everything] == sorted(item.path for item in everything)
    assert catalog.page(5, 4) == everything[5:9]
    assert catalog.page(12, 4) == []
    assert [catalog.row(item.id) for item in everything] == list(range(12))
    assert catalog.rows([7, 2, 2]) == [everything[7], everything[2], everything[2]]
    assert catalog.at(7) == catalog.get(everything[7].id) == everything[7]
    two = [everything[9], everything[2]]
    assert catalog.find([*(item.id for item in two), "no such id"]) == {item.id: item for item in two}
    assert catalog.find([]) == {}


def test_missing_items_rows_and_indexes_are_errors(catalog: Catalog) -> None:
    assert catalog.get("no such id") is None
    with pytest.raises(ItemMissingError):
        catalog.row("no such id")
    with pytest.raises(IndexError):
        catalog.at(12)
    with pytest.raises(IndexMissingError):
        Catalog.open(Path("nowhere"))


def test_search_by_name_ignores_case_and_unicode_variants(index: Index) -> None:
    names = ["Ärger 100%.png", "straße_1.png", "雪花.png"]
    for seed, name in enumerate(names):
        write_picture(index.root / name, seed)
    index.build()
    with Catalog.open(index.folder) as catalog:
        for query, expected in {"a\u0308RGER": 0, "0%": 0, "STRASSE": 1, "雪": 2}.items():
            assert [item.name for item in catalog.page(0, 10, query)] == [names[expected]]
            assert catalog.count(query) == 1
        assert catalog.count("A/") == 4
        assert [item.path for item in catalog.page(1, 2, "a/")] == ["a/003.png", "a/006.jpg"]


def test_an_id_does_not_depend_on_model_or_content(index: Index) -> None:
    index.build()
    with Catalog.open(index.folder) as before:
        write_picture(index.root / "a" / "000.jpg", seed=99)
        index.build()
        with Catalog.open(index.folder) as after:
            assert [item.id for item in before.page(0, 20)] == [item.id for item in after.page(0, 20)]
            assert before.at(0).sha256 != after.at(0).sha256
            assert after.get(item_id("a/000.jpg")) == after.at(0)


def test_a_file_that_leads_out_of_the_folder_is_refused(
    index: Index, catalog: Catalog, tmp_path: Path
) -> None:
    item = catalog.at(0)
    secret = tmp_path / "secret.jpg"
    secret.touch()
    (index.root / item.path).unlink()
    assert not catalog.file(item).exists()
    (index.root / item.path).symlink_to(secret)
    with pytest.raises(StoreError, match="leads out"):
        catalog.file(item)


def test_samples_are_listed_by_the_gallery_or_spread_over_it(index: Index, catalog: Catalog) -> None:
    assert [item.path for item in catalog.samples(3)] == [catalog.at(row).path for row in (2, 6, 10)]
    assert len(catalog.samples(100)) == len(catalog)
    (index.root / "SAMPLES.txt").write_text(f"{catalog.at(5).path}\n\nmissing.jpg\n{catalog.at(1).path}\n")
    assert catalog.samples(8) == [catalog.at(5), catalog.at(1)]
    (index.root / "SAMPLES.txt").unlink()
    (index.root / "SAMPLES.txt").mkdir()
    assert len(catalog.samples(3)) == 3


def test_a_catalog_notices_a_new_generation_and_keeps_its_own(index: Index, catalog: Catalog) -> None:
    assert not catalog.stale()
    for seed in range(3):
        write_picture(index.root / f"new{seed}.png", seed)
        index.build()
    assert catalog.stale()
    assert len(catalog.page(0, 100)) == 12
    with Catalog.open(index.folder) as fresh:
        assert len(fresh) == 15


def test_threads_share_a_catalog(catalog: Catalog) -> None:
    results: list[int] = []

    def read() -> None:
        results.extend(len(catalog.page(0, 100)) for _ in range(20))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [12] * 160


def test_the_catalog_needs_no_numpy(catalog: Catalog, index: Index) -> None:
    code = (
        "import sys; from pathlib import Path; from gallery.catalog import Catalog\n"
        "assert len(Catalog.open(Path(sys.argv[1]))) == 12\n"
        "assert not {'numpy', 'PIL', 'scipy', 'gallery.store'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, index.folder], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors in /proc, which only Linux has")
def test_a_closed_catalog_releases_its_generation(index: Index) -> None:
    index.build()
    before = len(list(DESCRIPTORS.iterdir()))
    for _ in range(20):
        Catalog.open(index.folder).close()
    for _ in range(20):
        Catalog.open(index.folder)
    assert len(list(DESCRIPTORS.iterdir())) <= before + 1
