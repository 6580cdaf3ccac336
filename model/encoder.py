"""The encoder: preprocessing and network together, pictures in and feature vectors out.

`load_encoder` is what applications call. The encoder combines `model.pictures`, `model.preprocess`,
`model.network` and `model.checkpoints`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.checkpoints.weights import open_weights, read_json_beside
from model.config import POSITION_MODES, PREPROCESS_MODES, PositionMode, PreprocessMode, ViTConfig
from model.errors import CheckpointError, PictureError
from model.files import sha256_file
from model.fingerprint import Fingerprint
from model.network.fold import fold
from model.network.vit import VisionTransformer
from model.pictures import DECODING, Source, open_rgb
from model.preprocess import Geometry, prepare, read_geometry

Array = NDArray[np.float32]
Picture = Image.Image | str | os.PathLike[str]
Choice = TypeVar("Choice", bound=str)

# A JPEG is decoded no smaller than this many times the shorter side that preprocessing keeps. The resize
# after it then hides nearly all of the difference (docs/performance.md).
REDUCTION_MARGIN = 2.5
MIN_DECODED_SIDE = 320  # pixels; thumbnails need them even if the network does not


class Encoder:
    """Encodes pictures as feature vectors, which are compared by cosine similarity.

    Parameters
    ----------
    vit : VisionTransformer
    geometry : Geometry
        Sizes of the preprocessing.
    preprocess : {"official", "center_crop", "resize_short_side"}
    name : str
        Name of the model, for people.
    weights_sha256 : str
        SHA-256 of the checkpoint.

    Attributes
    ----------
    name, preprocess : str
    geometry : Geometry
    fingerprint : Fingerprint
        Features of two encoders can be compared only if this is equal.
    """

    def __init__(
        self,
        vit: VisionTransformer,
        geometry: Geometry,
        preprocess: PreprocessMode,
        *,
        name: str,
        weights_sha256: str,
    ) -> None:
        self._vit = vit
        self.geometry = geometry
        self.preprocess = preprocess
        self.name = name
        sizes = f"{geometry.resize}-{geometry.crop}" if preprocess == "official" else f"{geometry.crop}"
        if self.short_side is not None:
            sizes += f"-from-{self.short_side}"
        sizes += f"-decoding-{DECODING}"
        self.fingerprint = Fingerprint(
            weights_sha256, f"{preprocess}-{sizes}", vit.positions, vit.config.width
        )

    @property
    def config(self) -> ViTConfig:
        """Hyperparameters of the network."""
        return self._vit.config

    @property
    def positions(self) -> PositionMode:
        """How position embeddings are interpolated: ``official`` or ``transformers``."""
        return self._vit.positions

    @property
    def dim(self) -> int:
        """Length D of a feature vector."""
        return self._vit.config.width

    @property
    def short_side(self) -> int | None:
        """Pixels of the shorter side that `decode` may reduce a JPEG to; None if it must decode in full."""
        if self.preprocess == "center_crop":
            return None
        kept = self.geometry.resize if self.preprocess == "official" else self.geometry.crop
        return max(MIN_DECODED_SIDE, int(REDUCTION_MARGIN * kept))

    def decode(self, source: Source) -> Image.Image:
        """Decode a picture as galleries and searches do: a large JPEG at a half, a quarter or an eighth.

        A photograph of 12 megapixels then decodes in a quarter of the time. The feature changes by about
        1e-5, in the worst case measured by 2e-4 (1 - cosine; docs/performance.md). `encode` decodes paths in
        full, as PyTorch would.

        Parameters
        ----------
        source : path, bytes or binary file

        Returns
        -------
        PIL.Image.Image
            Upright RGB.

        Raises
        ------
        PictureError
            The picture cannot be read.
        OSError
            The file cannot be read.
        """
        return open_rgb(source, short_side=self.short_side)

    def prepare(self, image: Image.Image) -> Array:
        """Preprocess one picture.

        Parameters
        ----------
        image : PIL.Image.Image
            Upright RGB, as `model.pictures.open_rgb` returns it.

        Returns
        -------
        ndarray of float32, shape (3, H, W)

        Raises
        ------
        PictureError
            With ``resize_short_side``: one side is more than 16 times the other.
        """
        return prepare(image, self.preprocess, self.geometry, self.config.patch)

    def encode_arrays(self, batch: Array) -> Array:
        """Encode preprocessed pictures of equal shape.

        Parameters
        ----------
        batch : ndarray of float32, shape (B, 3, H, W)
            H and W are multiples of the patch size.

        Returns
        -------
        ndarray of float32, shape (B, D)
            CLS features, not normalised.
        """
        return self._vit.forward(batch)[:, 0]

    def encode(self, images: Iterable[Picture], batch_size: int = 8) -> Array:
        """Encode pictures of any size; those with equal shape after preprocessing share a batch.

        Parameters
        ----------
        images : iterable of PIL.Image.Image or path
            A path is opened by `model.pictures.open_rgb`; an image must already be upright RGB.
        batch_size : int
            Pictures in one forward pass, at most.

        Returns
        -------
        ndarray of float32, shape (n, D)
            CLS features in the order of `images`, not normalised.

        Raises
        ------
        PictureError
            A picture cannot be read.
        """
        rows: dict[int, Array] = {}
        waiting: dict[tuple[int, ...], list[tuple[int, Array]]] = {}
        for index, image in enumerate(self.open(images)):
            array = self.prepare(image)
            waiting.setdefault(array.shape, []).append((index, array))
            fullest = max(waiting, key=lambda shape: len(waiting[shape]))
            # Pictures of rare shapes must not accumulate.
            if len(waiting[fullest]) == batch_size or sum(map(len, waiting.values())) == 4 * batch_size:
                self._encode_group(waiting.pop(fullest), rows)
        for group in waiting.values():
            self._encode_group(group, rows)
        features = np.empty((len(rows), self.dim), np.float32)
        for index, row in rows.items():
            features[index] = row
        return features

    @staticmethod
    def open(images: Iterable[Picture]) -> Iterator[Image.Image]:
        """Yield pictures one after the other, opening those that are given as paths.

        Parameters
        ----------
        images : iterable of PIL.Image.Image or path

        Yields
        ------
        PIL.Image.Image
            Upright RGB.

        Raises
        ------
        PictureError
            A picture cannot be read; the message names the file.
        """
        for image in images:
            if isinstance(image, Image.Image):
                yield image
                continue
            try:
                picture = open_rgb(image)
            except PictureError as error:
                raise PictureError(error.code, f"{os.fspath(image)}: {error}") from error
            yield picture

    def encode_with_patches(self, image: Image.Image) -> tuple[Array, Array]:
        """Encode one picture and each of its patches, in one forward pass.

        Parameters
        ----------
        image : PIL.Image.Image
            Upright RGB.

        Returns
        -------
        cls : ndarray of float32, shape (D,)
        patches : ndarray of float32, shape (h, w, D)
            After the final LayerNorm; register tokens are left out.
        """
        pixels = self.prepare(image)
        tokens = self._vit.forward(pixels[None], patches=True)[0]
        h, w = pixels.shape[1] // self.config.patch, pixels.shape[2] // self.config.patch
        return tokens[0], tokens[self.config.prefix :].reshape(h, w, -1)

    def _encode_group(self, group: list[tuple[int, Array]], rows: dict[int, Array]) -> None:
        features = self.encode_arrays(np.stack([array for _, array in group]))
        rows.update(zip((index for index, _ in group), features, strict=True))


def load_encoder(
    path: str | os.PathLike[str],
    *,
    preprocess: PreprocessMode = "official",
    positions: PositionMode | None = None,
    threads: int | None = None,
) -> Encoder:
    """Load a checkpoint as an encoder.

    Parameters
    ----------
    path : path
        ``.safetensors``, ``.npz`` or ``.pth``, with the official names of tensors, the hub's or
        transformers'.
    preprocess : {"official", "center_crop", "resize_short_side"}
    positions : {"official", "transformers"}, optional
        Whose interpolation of position embeddings to match. By default what the checkpoint's metadata says,
        else ``official``.
    threads : int, optional
        Threads that share a forward pass; by default the number that BLAS may use.

    Returns
    -------
    Encoder

    Raises
    ------
    CheckpointError
        The file cannot be read or is not a ViT, or a mode is unknown.
    """
    path = Path(path)
    with open_weights(path) as weights:
        mode = _choice(
            "positions", positions or weights.metadata.get("positions", "official"), POSITION_MODES
        )
        preprocess = _choice("preprocess", preprocess, PREPROCESS_MODES)
        preprocessor = read_json_beside(path, "preprocessor_config.json")
        config = weights.config
        geometry = read_geometry(preprocessor, weights.metadata, config.grid, config.patch)
        vit = VisionTransformer(config, fold(weights), mode, threads)
    return Encoder(vit, geometry, preprocess, name=path.stem, weights_sha256=sha256_file(path))


def _choice(name: str, value: str, allowed: tuple[Choice, ...]) -> Choice:
    for choice in allowed:
        if choice == value:
            return choice
    raise CheckpointError(f"{name} is {value!r}; it must be one of: {', '.join(allowed)}.")
