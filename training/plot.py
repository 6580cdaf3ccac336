"""A training's course as a picture: ``python -m training.plot OUT/log.jsonl docs/training.svg``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _TOP = 760, 300, 56, 34
_PLOT_WIDTH, _PLOT_HEIGHT = _WIDTH - _LEFT - 56, _HEIGHT - _TOP - 46
_LOSSES = {"relation": "#1f5fa8", "pooled": "#b5651d", "patches": "#8a5a9e"}
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
    """Read a training's log; where a run was resumed, what it did again counts."""
    lines: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        while lines and lines[-1]["step"] >= line["step"]:
            lines.pop()
        lines.append(line)
    return lines


def draw(lines: Sequence[dict[str, Any]]) -> str:
    """Draw the losses over the pictures seen, as SVG."""
    end, top = lines[-1]["pictures"], max(line[name] for line in lines[1:] for name in _LOSSES)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12" role="img" aria-label="Losses over the training">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_PLOT_WIDTH}" height="{_PLOT_HEIGHT}" fill="none" '
        'stroke="#999"/>',
    ]
    for name, colour in _LOSSES.items():
        course = _smoothed([(line["pictures"], line[name]) for line in lines])
        parts.append(_line([(x / end, y / top) for x, y in course], colour))
    return "\n".join([*parts, *_labels(end, top), "</svg>\n"])


def _smoothed(points: Sequence[Point]) -> list[Point]:
    windows = (points[max(0, at - _SMOOTHED + 1) : at + 1] for at in range(len(points)))
    return [(window[-1][0], sum(y for _, y in window) / len(window)) for window in windows]


def _line(points: Sequence[Point], colour: str) -> str:
    """Draw a line through points in units of the plot; what is above is drawn at its edge."""
    placed = [(_LEFT + x * _PLOT_WIDTH, _TOP + (1 - min(y, 1)) * _PLOT_HEIGHT) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _labels(end: float, top: float) -> list[str]:
    base = _TOP + _PLOT_HEIGHT
    text = [
        f'<text x="{_LEFT + 110 * at}" y="{_TOP - 12}" fill="{colour}">loss: {name}</text>'
        for at, (name, colour) in enumerate(_LOSSES.items())
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _LEFT + share * _PLOT_WIDTH, base - share * _PLOT_HEIGHT
        text += [
            f'<text x="{x:.0f}" y="{base + 18}" text-anchor="middle">{share * end / 1000:.1f}</text>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{share * top:.2f}</text>',
        ]
    middle = _LEFT + _PLOT_WIDTH / 2
    return [
        *text,
        f'<text x="{middle:.0f}" y="{base + 36}" text-anchor="middle">thousand pictures seen</text>',
    ]


if __name__ == "__main__":
    raise SystemExit(main())
