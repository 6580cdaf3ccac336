"""The log of features, from which an interrupted run resumes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from gallery.featurelog import FeatureLog
from model.fingerprint import Fingerprint
from model.pictures import PictureInfo

FINGERPRINT = Fingerprint("0" * 64, "official-256-224", "official", 8)
INFO = PictureInfo("JPEG", 640, 480)
KEYS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(10)]
VECTORS = np.random.default_rng(0).standard_normal((10, 8)).astype(np.float32)


def written(path: Path) -> bytes:
    """Write a log of ten records and return its bytes."""
    with FeatureLog(path, FINGERPRINT) as log:
        for key, vector in zip(KEYS, VECTORS, strict=True):
            log.append(key, INFO, vector)
    return path.read_bytes()


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    written(tmp_path / "log")
    with FeatureLog(tmp_path / "log", FINGERPRINT) as log:
        assert len(log) == 10
        assert log.info(KEYS[3]) == INFO
        assert log.info("f" * 64) is None
        np.testing.assert_array_equal(log.features(KEYS[::-2]), VECTORS[::-2])


def test_a_log_truncated_anywhere_keeps_its_complete_records_and_can_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "log"
    whole = written(path)
    record = (len(whole) - 512) // 10
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with FeatureLog(path, FINGERPRINT) as log:
            kept = max(0, length - 512) // record
            assert len(log) == kept
            log.append(KEYS[9], INFO, VECTORS[9])
        with FeatureLog(path, FINGERPRINT) as log:
            np.testing.assert_array_equal(log.features([*KEYS[:kept], KEYS[9]]), VECTORS[[*range(kept), 9]])


def test_a_damaged_record_counts_as_absent(tmp_path: Path) -> None:
    path = tmp_path / "log"
    whole = written(path)
    record = (len(whole) - 512) // 10
    for offset in range(0, record, 3):
        damaged = bytearray(whole)
        damaged[512 + 4 * record + offset] ^= 1
        path.write_bytes(damaged)
        with FeatureLog(path, FINGERPRINT) as log:
            assert [log.info(key) is not None for key in KEYS] == [number != 4 for number in range(10)]
            np.testing.assert_array_equal(log.features(KEYS[5:]), VECTORS[5:])


def test_a_log_of_another_encoder_is_emptied(tmp_path: Path) -> None:
    written(tmp_path / "log")
    with FeatureLog(tmp_path / "log", Fingerprint("1" * 64, "official-256-224", "official", 8)) as log:
        assert len(log) == 0
    with FeatureLog(tmp_path / "log", FINGERPRINT) as log:
        assert len(log) == 0
