"""Batches: photographs alone, twice and beside a pictogram of the same; pictograms in two renderings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment import CLOSE, PHOTOGRAPH, PICTOGRAM, make_views
from training.packs import Kind, Pack, PackError
from training.pictograms import is_toned
from training.targets import Targets

TONE_WEIGHT = 0.2  # a gesture comes in six skin tones, and is not six times as important


class Batch(NamedTuple):
    """What one step sees.

    Attributes
    ----------
    pixels : Tensor, shape (B, 3, size, size)
    labels : Tensor of int64, shape (B,)
        Lines of `Targets.mixtures`.
    pairs : int
        The last 2 * `pairs` pictures are pairs: number i and number i + `pairs` of them show the same.
    """

    pixels: Tensor
    labels: Tensor
    pairs: int


class Share(NamedTuple):
    """How a batch is made up, as shares of its pictures."""

    photographs: float = 0.52
    twice: float = 0.12
    alike: float = 0.1
    pictograms: float = 0.26

    def without_alike(self) -> Share:
        """Give to single photographs what goes to photographs beside a pictogram."""
        return self._replace(photographs=self.photographs + self.alike, alike=0.0)


class Material(NamedTuple):
    """All pictures of one kind, and how likely each is drawn.

    Attributes
    ----------
    pictures : Tensor of uint8, shape (n, S, S, 3)
    labels : Tensor of int64, shape (n,)
    weights : Tensor, shape (n,) or (classes,)
        Of photographs, for each picture; of pictograms, for each line of `members`.
    members : Tensor of int64, shape (classes, most)
        The renderings of each pictogram, padded with the first; empty for photographs.
    counts : Tensor of int64, shape (classes,)
    """

    pictures: Tensor
    labels: Tensor
    weights: Tensor
    members: Tensor
    counts: Tensor


def photographs(packs: Sequence[Pack], targets: Targets, kept: Sequence[NDArray[np.bool_]]) -> Material:
    """Gather the photographs; a pack is drawn from in proportion to the square root of its classes.

    Parameters
    ----------
    packs, targets
        As `build_targets` was given and gave them.
    kept : sequence of ndarray of bool
        For each pack, which pictures may be trained on.
    """
    weights, pictures, labels = [], [], []
    for pack, lines, keep in zip(packs, targets.labels, kept, strict=True):
        if pack.kind == "photographs":
            pictures.append(pack.pictures[keep])
            labels.append(lines[keep])
            weights.append(np.full(int(keep.sum()), len(pack.names) ** 0.5 / keep.sum()))
    none = torch.empty(0, dtype=torch.int64)
    chances = torch.from_numpy(np.concatenate(weights)) if weights else torch.empty(0)
    return Material(*_joined(pictures, labels, "photographs"), chances, none, none)


def pictograms(packs: Sequence[Pack], targets: Targets) -> Material:
    """Gather the pictograms, rendering by rendering of each."""
    chosen = [pack for pack in packs if pack.kind == "pictograms"]
    lines = [line for pack, line in zip(packs, targets.labels, strict=True) if pack.kind == "pictograms"]
    pictures, labels = _joined([pack.pictures for pack in chosen], lines, "pictograms")
    toned = {
        int(line)
        for pack, line in zip(chosen, lines, strict=True)
        for line, name in zip(line, np.array(pack.names)[pack.labels], strict=True)
        if is_toned(str(name))
    }
    renderings: dict[int, list[int]] = {}
    for number, label in enumerate(labels.tolist()):
        renderings.setdefault(label, []).append(number)
    most = max(map(len, renderings.values()))
    members = [found + found[:1] * (most - len(found)) for found in renderings.values()]
    weights = [TONE_WEIGHT if label in toned else 1.0 for label in renderings]
    counts = [len(found) for found in renderings.values()]
    return Material(pictures, labels, torch.tensor(weights), torch.tensor(members), torch.tensor(counts))


class Alike(NamedTuple):
    """Photographs of what pictograms show too.

    Attributes
    ----------
    weights : Tensor, shape (photographs,)
        As `Material.weights`; 0 for what no pictogram shows.
    members : Tensor of int64, shape (lines of `Targets.mixtures`, most)
        For each class of photographs, the pictures in the pictograms' material that show the same; padded.
    counts : Tensor of int64, shape (lines of `Targets.mixtures`,)
    """

    weights: Tensor
    members: Tensor
    counts: Tensor


def match(photos: Material, drawings: Material, targets: Targets) -> Alike:
    """Find the pictograms for each class of photographs."""
    lines = drawings.labels.numpy()
    found = {line: np.flatnonzero(np.isin(lines, others)) for line, others in targets.alike.items()}
    counts = torch.zeros(len(targets.mixtures), dtype=torch.int64)
    members = torch.zeros(len(counts), max(map(len, found.values()), default=1), dtype=torch.int64)
    for line, numbers in found.items():
        counts[line] = len(numbers)
        members[line, : len(numbers)] = torch.from_numpy(numbers)
    return Alike(photos.weights * (counts[photos.labels] > 0), members, counts)


def _joined(
    pictures: Sequence[NDArray[np.uint8]], labels: Sequence[NDArray[np.int64]], kind: Kind
) -> tuple[Tensor, Tensor]:
    if not pictures:
        raise PackError(f"there are no {kind} among the packs, and both kinds are needed.")
    if len({stack.shape[1] for stack in pictures}) > 1:
        raise PackError(f"the packs of {kind} differ in their pictures' size.")
    return torch.from_numpy(np.concatenate(pictures)), torch.from_numpy(np.concatenate(labels))


def draw_batch(
    photos: Material,
    drawings: Material,
    alike: Alike,
    count: int,
    size: int,
    share: Share,
    chance: torch.Generator,
) -> Batch:
    """Draw a batch of about `count` pictures, `size` pixels square."""
    alone, twice, both, drawn = parts_of(count, share if alike.counts.any() else share.without_alike())
    chosen = _choose(photos.weights, alone + twice, chance)
    known = _choose(alike.weights, both, chance)
    first, second = draw_renderings(drawings, drawn, chance)
    single, again = chosen[:alone], chosen[alone:]
    shown = draw_alike(alike, photos.labels[known], chance)
    views = [
        make_views(photos.pictures[single], size, PHOTOGRAPH, chance),
        make_views(photos.pictures[torch.cat([again, known])], size, PHOTOGRAPH, chance),
        make_views(drawings.pictures[first], size, PICTOGRAM, chance),
        make_views(photos.pictures[again], size, CLOSE, chance),
        make_views(drawings.pictures[torch.cat([shown, second])], size, PICTOGRAM, chance),
    ]
    labels = [
        photos.labels[torch.cat([single, again, known])],
        drawings.labels[first],
        photos.labels[again],
        drawings.labels[torch.cat([shown, second])],
    ]
    return Batch(torch.cat(views), torch.cat(labels), twice + both + drawn)


def parts_of(count: int, share: Share) -> tuple[int, int, int, int]:
    """Return how many photographs a batch has alone, twice and with a pictogram, and of pictograms, twice."""
    twice, drawn = (max(1, round(count * part / 2)) for part in (share.twice, share.pictograms))
    both = round(count * share.alike / 2)
    return max(1, count - 2 * (twice + both + drawn)), twice, both, drawn


def draw_alike(alike: Alike, lines: Tensor, chance: torch.Generator) -> Tensor:
    """Draw a pictogram for each of these classes of photographs."""
    counts = alike.counts[lines]
    part = torch.rand(len(lines), generator=chance, device=lines.device)
    return alike.members[lines, (part * counts).long().clamp(max=counts - 1)]


def _choose(weights: Tensor, count: int, chance: torch.Generator) -> Tensor:
    """Draw by weight, with replacement: `torch.multinomial` is slow for so many."""
    ends = weights.double().cumsum(0)
    points = torch.rand(count, generator=chance, dtype=torch.float64, device=weights.device) * ends[-1]
    return torch.searchsorted(ends, points).clamp(max=len(weights) - 1)


def draw_renderings(drawings: Material, count: int, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw pictograms and two renderings of each, different where there are two."""
    rows = _choose(drawings.weights, count, chance)
    counts = drawings.counts[rows]
    parts = torch.rand(2, count, generator=chance, device=rows.device)
    first = (parts[0] * counts).long().clamp(max=counts - 1)
    step = 1 + (parts[1] * (counts - 1)).long().clamp(max=(counts - 2).clamp(min=0))
    second = (first + step) % counts
    return drawings.members[rows, first], drawings.members[rows, second]
