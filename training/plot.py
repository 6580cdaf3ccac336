"""A training's course as a picture: ``python -m training.plot OUT/log.jsonl docs/training.svg``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _TOP = 760, 300, 56, 34
_PLOT_WIDTH, _PLOT_HEIGHT = _WIDTH - _LEFT - 56, _HEIGHT - _TOP - 46
_LOSSES = {"cls": "#1f5fa8", "patch": "#8a5a9e", "pair": "#b5651d"}
_LOOK = "#2a7d46"
_SMOOTHED = 5  # lines of the log that a point is the mean of

Point = tuple[float, float]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.plot", description=__doc__)
    parser.add_argument("log", type=Path, metavar="LOG")
    parser.add_argument("svg", type=Path, metavar="SVG")
    options = parser.parse_args(arguments)
    options.svg.write_text(draw(read_log(options.log)), encoding="utf-8")
    return 0


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a training's log; where a run was taken up again, what it did anew counts."""
    lines: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        while lines and _anew(lines[-1], line):
            lines.pop()
        lines.append(line)
    return lines


def _anew(before: dict[str, Any], line: dict[str, Any]) -> bool:
    """Whether `line` tells again, after a resumption, what `before` or something earlier told."""
    same = before["step"] == line["step"] and before["kind"] == line["kind"]
    return bool(same or before["step"] > line["step"])


def draw(lines: Sequence[dict[str, Any]]) -> str:
    """Draw losses (left scale) and held-out precision (right scale) over the pictures seen, as SVG."""
    steps = [line for line in lines if line["kind"] == "step"]
    per_step = steps[-1]["pictures"] / steps[-1]["step"]
    looks = [(line["step"] * per_step, line["p1"]) for line in lines if line["kind"] == "look"]
    end, top = max(steps[-1]["pictures"], *(x for x, _ in looks)), max(line["patch"] for line in steps[2:])
    best = max(p1 for _, p1 in looks) * 1.2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12" role="img" aria-label="Losses and held-out precision over the training">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_PLOT_WIDTH}" height="{_PLOT_HEIGHT}" fill="none" '
        'stroke="#999"/>',
    ]
    for name, colour in _LOSSES.items():
        course = _smoothed([(line["pictures"], line[name]) for line in steps])
        parts.append(_line([(x / end, y / top) for x, y in course], colour))
    parts.append(_line([(x / end, p1 / best) for x, p1 in looks], _LOOK, dots=True))
    parts += _labels(end, top, best)
    return "\n".join([*parts, "</svg>\n"])


def _smoothed(points: Sequence[Point]) -> list[Point]:
    windows = (points[max(0, at - _SMOOTHED + 1) : at + 1] for at in range(len(points)))
    return [(window[-1][0], sum(y for _, y in window) / len(window)) for window in windows]


def _line(points: Sequence[Point], colour: str, *, dots: bool = False) -> str:
    """Draw a line through points in units of the plot; what is above is drawn at its edge."""
    placed = [(_LEFT + x * _PLOT_WIDTH, _TOP + (1 - min(y, 1)) * _PLOT_HEIGHT) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in placed)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>' + marks * dots


def _labels(end: float, top: float, best: float) -> list[str]:
    base, right = _TOP + _PLOT_HEIGHT, _LEFT + _PLOT_WIDTH
    names = {"cls": "CLS", "patch": "patches", "pair": "pairs"}
    words = [(_LEFT + 110 * at, _LOSSES[name], f"loss: {names[name]}") for at, name in enumerate(_LOSSES)]
    words.append((_LEFT + 330, _LOOK, "P@1, held out (right)"))
    text = [f'<text x="{x}" y="{_TOP - 12}" fill="{colour}">{word}</text>' for x, colour, word in words]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _LEFT + share * _PLOT_WIDTH, base - share * _PLOT_HEIGHT
        text += [
            f'<text x="{x:.0f}" y="{base + 18}" text-anchor="middle">{share * end / 1000:.0f}</text>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{share * top:.1f}</text>',
            f'<text x="{right + 8}" y="{y + 4:.0f}">{share * best:.3f}</text>',
        ]
    middle = _LEFT + _PLOT_WIDTH / 2
    return [
        *text,
        f'<text x="{middle:.0f}" y="{base + 36}" text-anchor="middle">thousand pictures seen</text>',
    ]


if __name__ == "__main__":
    raise SystemExit(main())
