"""The official DINOv2 checkpoints: their addresses, sizes and checksums.

`model.checkpoints.fetch` downloads them, and commands list them. Imports `model.errors` only, and no NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import CheckpointError

OFFICIAL_BASE = "https://dl.fbaipublicfiles.com/dinov2"
DEFAULT = "dinov2-base"


@dataclass(frozen=True, slots=True)
class OfficialCheckpoint:
    """One checkpoint of facebookresearch/dinov2, Apache License 2.0.

    Attributes
    ----------
    name : str
        Name in settings and commands.
    code : str
        Name in the addresses, such as ``vits14``.
    dim, depth, registers : int
        Length D of a feature, number of blocks, number of register tokens.
    parameters : int
        Approximate number of parameters.
    sha256 : str
        SHA-256 of the ``.pth`` file.
    size : int or None
        Size of the ``.pth`` file in bytes, if known exactly.
    revision : str
        Commit of ``facebook/<name>`` on the Hugging Face hub, whose ``model.safetensors`` has the same
        tensors; empty if unknown.
    """

    name: str
    code: str
    dim: int
    depth: int
    registers: int
    parameters: int
    sha256: str
    size: int | None = None
    revision: str = ""

    @property
    def file_name(self) -> str:
        """Name of the official file."""
        return f"dinov2_{self.code}{'_reg4' if self.registers else ''}_pretrain.pth"

    @property
    def about_bytes(self) -> int:
        """Approximate size of the download in bytes."""
        return self.size or 4 * self.parameters

    def url(self, base: str = OFFICIAL_BASE) -> str:
        """Return the address of the official file, at `base` or a mirror with the same paths."""
        return f"{base.rstrip('/')}/dinov2_{self.code}/{self.file_name}"

    def hub_url(self, endpoint: str) -> str:
        """Return the address of the safetensors file on the hub or a mirror of it; empty if unknown."""
        if not self.revision:
            return ""
        return f"{endpoint.rstrip('/')}/facebook/{self.name}/resolve/{self.revision}/model.safetensors"


_CHECKPOINTS = (
    OfficialCheckpoint(
        "dinov2-small",
        "vits14",
        384,
        12,
        0,
        22_100_000,
        "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        88_283_115,
        "ed25f3a31f01632728cabb09d1542f84ab7b0056",
    ),
    OfficialCheckpoint(
        "dinov2-base",
        "vitb14",
        768,
        12,
        0,
        86_600_000,
        "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
        346_378_731,
        "f9e44c814b77203eaa57a6bdbbd535f21ede1415",
    ),
    OfficialCheckpoint(
        "dinov2-large",
        "vitl14",
        1024,
        24,
        0,
        304_000_000,
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
        revision="47b73eefe95e8d44ec3623f8890bd894b6ea2d6c",
    ),
    OfficialCheckpoint(
        "dinov2-giant",
        "vitg14",
        1536,
        40,
        0,
        1_100_000_000,
        "baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3",
        revision="611a9d42f2335e0f921f1e313ad3c1b7178d206d",
    ),
    OfficialCheckpoint(
        "dinov2-small-reg",
        "vits14",
        384,
        12,
        4,
        22_100_000,
        "f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb",
    ),
    OfficialCheckpoint(
        "dinov2-base-reg",
        "vitb14",
        768,
        12,
        4,
        86_600_000,
        "73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71",
    ),
    OfficialCheckpoint(
        "dinov2-large-reg",
        "vitl14",
        1024,
        24,
        4,
        304_000_000,
        "36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51",
    ),
    OfficialCheckpoint(
        "dinov2-giant-reg",
        "vitg14",
        1536,
        40,
        4,
        1_100_000_000,
        "746ecb8c6301c645c5c855be91687d274587d6e48fdaec4a729753160b34a283",
    ),
)

CHECKPOINTS = {checkpoint.name: checkpoint for checkpoint in _CHECKPOINTS}
"""The official checkpoints by name."""


def find(name: str) -> OfficialCheckpoint:
    """Return the checkpoint called `name`.

    Parameters
    ----------
    name : str

    Returns
    -------
    OfficialCheckpoint

    Raises
    ------
    CheckpointError
        The name is unknown; the message lists all names.
    """
    if name not in CHECKPOINTS:
        raise CheckpointError(
            f"{name!r} is not an official checkpoint; choose one of: {', '.join(CHECKPOINTS)}."
        )
    return CHECKPOINTS[name]
