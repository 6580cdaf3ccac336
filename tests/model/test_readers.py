"""Damaged and malicious checkpoint files."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from model import CheckpointError
from model.checkpoints.files import open_checkpoint
from model.checkpoints.readers.statedict import read_state_dict
from tests.support.checkpoints import write_tensors
from tests.support.pth import PthPickle, global_name, integer, integers, text, write_pth, write_pth_parts
from tests.support.reading import read_all, refusal

ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_missing_file_says_how_to_get_weights(tmp_path: Path) -> None:
    assert "flask model info" in refusal(tmp_path / "absent.safetensors")


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    assert "the name of a checkpoint must end in one of .safetensors, .npz, .pth" in refusal(
        tmp_path / "weights.bin"
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth"])
class TestDamage:
    def test_a_file_of_another_kind_is_refused(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"m{suffix}"
        path.write_bytes(b"<html>404 Not Found</html>")

        assert str(path) in refusal(path)

    def test_an_empty_file_is_refused(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"m{suffix}"
        path.write_bytes(b"")

        assert str(path) in refusal(path)

    def test_a_file_truncated_anywhere_is_refused(self, tmp_path: Path, suffix: str) -> None:
        whole = write_tensors(tmp_path / f"whole{suffix}", {"a": ARRAY, "b": ARRAY + 1}).read_bytes()
        path = tmp_path / f"m{suffix}"
        for length in range(1, len(whole), 7):
            path.write_bytes(whole[:length])
            refusal(path)

    def test_flipped_bytes_never_raise_anything_else(self, tmp_path: Path, suffix: str) -> None:
        whole = write_tensors(tmp_path / f"whole{suffix}", {"a": ARRAY}).read_bytes()
        path = tmp_path / f"m{suffix}"
        rng = np.random.default_rng(0)
        for _ in range(300):
            flipped = bytearray(whole)
            flipped[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
            path.write_bytes(flipped)
            with suppress(CheckpointError):
                assert all(array.size <= 6 for array in read_all(path).values())


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_integers_are_refused(tmp_path: Path, suffix: str) -> None:
    path = write_tensors(tmp_path / f"m{suffix}", {"counts": np.arange(3)})

    assert "counts" in refusal(path)


class TestSafetensors:
    def write(self, tmp_path: Path, header: object, numbers: bytes = b"") -> Path:
        path = tmp_path / "m.safetensors"
        raw = header if isinstance(header, bytes) else json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(raw)) + raw + numbers)
        return path

    @pytest.mark.parametrize(
        "entry",
        [
            {"dtype": "F32", "shape": [2], "data_offsets": [0, 16]},
            {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
            {"dtype": "F32", "shape": [-2], "data_offsets": [0, -8]},
            {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
            {"dtype": "F32", "shape": [1 << 62], "data_offsets": [0, 1 << 64]},
            {"dtype": "F32", "shape": [2]},
            {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]},
            {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]},
            7,
        ],
        ids=str,
    )
    def test_an_invalid_entry_is_refused(self, tmp_path: Path, entry: object) -> None:
        refusal(self.write(tmp_path, {"a": entry}, bytes(8)))

    def test_a_truncated_file_is_refused_when_opened(self, tmp_path: Path) -> None:
        path = write_tensors(tmp_path / "m.safetensors", {"a": ARRAY})
        path.write_bytes(path.read_bytes()[:-1])

        with pytest.raises(CheckpointError, match="which is cut off"), open_checkpoint(path):
            pass

    @pytest.mark.parametrize("header", [b"{", b"[]", b"null", b'{"__metadata__": 3}', b"\xff\xfe"])
    def test_an_invalid_header_is_refused(self, tmp_path: Path, header: object) -> None:
        refusal(self.write(tmp_path, header))

    def test_a_huge_header_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        path.write_bytes(struct.pack("<Q", 1 << 60))

        assert "claims 1152921504606846976 bytes" in refusal(path)


class TestNpz:
    def test_pickled_arrays_are_refused(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "m.npz", a=np.array([{"x": 1}], dtype=object))

        assert "not floating-point numbers" in refusal(tmp_path / "m.npz")

    def test_a_header_that_claims_more_than_the_file_has_is_refused(self, tmp_path: Path) -> None:
        raw = io.BytesIO()
        np.lib.format.write_array_header_1_0(raw, {"descr": "<f4", "fortran_order": False, "shape": (1000,)})
        with zipfile.ZipFile(tmp_path / "m.npz", "w") as file:
            file.writestr("a.npy", raw.getvalue() + bytes(40))

        refusal(tmp_path / "m.npz")


class TestPth:
    def table(self, write: Callable[[PthPickle], None] = lambda table: None) -> PthPickle:
        table = PthPickle()
        write(table)
        return table

    def test_tensors_come_back_as_they_were(self, tmp_path: Path) -> None:
        tensors = {"a": ARRAY, "half": ARRAY.astype(np.float16), "double": ARRAY.astype(np.float64)}

        with open_checkpoint(write_pth(tmp_path / "m.pth", tensors)) as file:
            for name, tensor in tensors.items():
                assert file.read(name).dtype == tensor.dtype
                np.testing.assert_array_equal(file.read(name), tensor)

    @pytest.mark.parametrize(
        "named",
        [
            ("os", "system"),
            ("builtins", "eval"),
            ("builtins", "getattr"),
            ("collections", "deque"),
            ("torch", "load"),
            ("torch", "LongStorage"),
            ("torch._utils", "_rebuild_qtensor"),
            ("numpy.core.multiarray", "_reconstruct"),
        ],
        ids=".".join,
    )
    def test_every_other_global_is_refused(self, tmp_path: Path, named: tuple[str, str]) -> None:
        table = (
            pickle.PROTO + b"\x02" + global_name(*named) + pickle.EMPTY_TUPLE + pickle.REDUCE + pickle.STOP
        )

        message = refusal(write_pth_parts(tmp_path / "m.pth", table, []))

        assert f"refers to {'.'.join(named)}" in message

    def test_nothing_is_executed(self, tmp_path: Path) -> None:
        class Exploit:
            def __reduce__(self) -> tuple[object, ...]:
                return open, (str(tmp_path / "proof"), "w")

        for protocol in range(6):
            path = write_pth_parts(tmp_path / "m.pth", pickle.dumps({"a": Exploit()}, protocol), [])
            refusal(path)
        assert not (tmp_path / "proof").exists()

    @pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
    @pytest.mark.parametrize(
        "value", [[1], {1: 2}, {"a": b"x"}, {"a": 1.5}, {"a": {"b": 1}}, 3, None, {"a", "b"}], ids=str
    )
    def test_other_objects_are_refused(self, value: object, protocol: int) -> None:
        with pytest.raises(CheckpointError):
            read_state_dict(pickle.dumps(value, protocol))

    @pytest.mark.parametrize(
        "table",
        [
            b"",
            b"\x80\x02",
            b"\x80\x02.",
            b"\x80\x02tR.",
            b"\x80\x02}s.",
            b"\x80\x02(((u.",
            b"\x80\x02]h\xff.",
            b"\x80\x02r\xff\xff\xff\xff.",
            b"\x80\x02X\xff\xff\xff\x7fabc.",
            b"\x80\x02cos\nsystem\n(U\x02lstR.",
            b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.",
            b"ios\nsystem\n(.",
            b"(S'ls'\\ios\nsystem\n.",
        ],
        ids=repr,
    )
    def test_a_malformed_pickle_is_refused(self, table: bytes) -> None:
        with pytest.raises(CheckpointError):
            read_state_dict(table)

    def test_random_instructions_are_refused_quickly(self) -> None:
        rng = np.random.default_rng(0)
        whole = self.table(lambda t: t.tensors([("a", 0, ARRAY), ("b", 1, ARRAY)])).finish()
        seed = np.frombuffer(whole, np.uint8)
        for _ in range(3000):
            mutated = seed.copy()
            mutated[rng.integers(len(seed), size=3)] = rng.integers(256, size=3)
            with suppress(CheckpointError):
                tensors = read_state_dict(mutated.tobytes()).values()
                assert all(tensor.extent < 1 << 50 for tensor in tensors)

    def test_a_tensor_beyond_its_storage_is_refused(self, tmp_path: Path) -> None:
        table = self.table(lambda t: t.tensors([("a", 0, np.zeros((100, 100), np.float32))])).finish()

        assert "beyond the end" in refusal(write_pth_parts(tmp_path / "m.pth", table, [bytes(40)]))

    def test_a_tensor_of_overlapping_views_costs_no_more_than_it_says(self, tmp_path: Path) -> None:
        storage = (
            pickle.MARK + text("storage") + global_name("torch", "FloatStorage") + text("0") + text("cpu")
        )
        storage += integer(1) + pickle.TUPLE + pickle.BINPERSID
        arguments = (
            pickle.MARK
            + storage
            + integer(0)
            + integers((1 << 20, 1 << 20))
            + integers((0, 0))
            + pickle.TUPLE
        )
        table = pickle.PROTO + b"\x02" + pickle.EMPTY_DICT + text("a")
        table += (
            global_name("torch._utils", "_rebuild_tensor_v2")
            + arguments
            + pickle.REDUCE
            + pickle.SETITEM
            + pickle.STOP
        )

        assert "invalid shape" in refusal(write_pth_parts(tmp_path / "m.pth", table, [bytes(4)]))

    def test_exponentially_nested_tuples_are_refused_quickly(self) -> None:
        nested = b"\x80\x02)" + b"".join(b"q\x00h\x00\x86" for _ in range(200))

        for ending in (b"q\x00}h\x00h\x00s.", b"q\x00h\x00\x93.", b"q\x00h\x00\x86Q.", b"q\x00h\x00R.", b"."):
            with pytest.raises(CheckpointError):
                read_state_dict(nested + ending)

    def test_a_compressed_part_is_refused_unread(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "m.pth", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("archive/data.pkl", bytes(15 << 20))

        assert "compressed" in refusal(tmp_path / "m.pth")

    def test_a_huge_table_is_refused_unread(self, tmp_path: Path) -> None:
        table = pickle.PROTO + b"\x02" + bytes(17 << 20)

        assert "larger than in any real checkpoint" in refusal(write_pth_parts(tmp_path / "m.pth", table, []))

    def test_a_missing_storage_is_named(self, tmp_path: Path) -> None:
        table = self.table(lambda t: t.tensors([("a", 0, ARRAY)])).finish()

        assert "data/0 is missing" in refusal(write_pth_parts(tmp_path / "m.pth", table, []))

    def test_a_zip_of_something_else_is_refused(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "m.pth", "w") as file:
            file.writestr("readme.txt", "hello")

        assert "exactly one data.pkl" in refusal(tmp_path / "m.pth")

    def test_a_big_endian_file_is_refused(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "m.pth", "w") as file:
            file.writestr("archive/data.pkl", self.table().finish())
            file.writestr("archive/byteorder", "big")

        assert "big-endian" in refusal(tmp_path / "m.pth")


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth"])
def test_files_are_closed(tmp_path: Path, suffix: str) -> None:
    # An open file warns when it is collected, and warnings are errors.
    assert read_all(write_tensors(tmp_path / f"m{suffix}", {"a": ARRAY})).keys() == {"a"}
