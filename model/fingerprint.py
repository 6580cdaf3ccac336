"""What makes two feature vectors comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Identity of an encoder: vectors of two encoders may be compared only if these are equal.

    Attributes
    ----------
    weights_sha256 : str
        SHA-256 of the checkpoint file, 64 hexadecimal digits.
    preprocess : str
        How a picture becomes a tensor, with its sizes, such as ``official-256-224``.
    positions : str
        How the position table is interpolated: ``official`` or ``transformers``.
    dim : int
        Width D of the feature vector.
    """

    weights_sha256: str
    preprocess: str
    positions: str
    dim: int

    def as_dict(self) -> dict[str, Any]:
        """Return the four values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Fingerprint:
        """Rebuild a fingerprint from `as_dict`'s answer.

        Raises
        ------
        ValueError
            A value is missing, unknown, or of another type.
        """
        expected = {"weights_sha256": str, "preprocess": str, "positions": str, "dim": int}
        if set(values) != set(expected) or any(
            type(values[key]) is not kind for key, kind in expected.items()
        ):
            raise ValueError(f"not a fingerprint: {dict(values)!r}")
        return cls(**values)
