"""Pictures that differ in colour and shape, small enough to be searched many times in a test."""

from __future__ import annotations

import colorsys
import io

from PIL import Image, ImageDraw

PICTURES = 24


def drawing(number: int) -> Image.Image:
    """One of `PICTURES` unlike pictures."""
    colours = [
        tuple(int(255 * part) for part in colorsys.hsv_to_rgb((number * 0.381966 + shift) % 1, 0.7, 0.9))
        for shift in (0.0, 0.4)
    ]
    image = Image.new("RGB", (160, 120), colours[0])
    draw = ImageDraw.Draw(image)
    box = (20 + number, 15, 90 + 2 * number, 105)
    (draw.ellipse, draw.rectangle, draw.chord)[number % 3](
        box, *((0, 250) if number % 3 == 2 else ()), fill=colours[1]
    )
    return image


def picture(number: int = 0) -> bytes:
    """A drawing as a PNG file."""
    file = io.BytesIO()
    drawing(number).save(file, "PNG")
    return file.getvalue()
