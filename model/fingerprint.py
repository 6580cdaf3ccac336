"""The identity of an encoder, which decides whether two feature vectors can be compared.

`model.encoder` makes it; `gallery` keeps it in each index and refuses queries made with another one. Imports
the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies an encoder: features can be compared only if their fingerprints are equal.

    Attributes
    ----------
    weights_sha256 : str
        SHA-256 of the checkpoint file, 64 hexadecimal digits.
    preprocess : str
        The preprocessing with its sizes, such as ``official-256-224-from-640-decoding-2``: the last
        number changes when files become other pixels (`model.pictures.DECODING`).
    positions : str
        How position embeddings are interpolated: ``official`` or ``transformers``.
    dim : int
        Length D of a feature vector.
    """

    weights_sha256: str
    preprocess: str
    positions: str
    dim: int

    def as_dict(self) -> dict[str, Any]:
        """Return the four values as a dictionary that can be written as JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Fingerprint:
        """Rebuild a fingerprint from the result of `as_dict`.

        Parameters
        ----------
        values : mapping

        Returns
        -------
        Fingerprint

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
