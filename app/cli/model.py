"""``flask model``: convert, embed, verify, info, bench. ``fetch`` is in `app.cli.fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
from flask.cli import AppGroup

from app.cli.console import TargetFile, readable_errors
from app.context import settings
from app.encoder import encoder_in_use
from config import BUNDLED_MODEL
from model.config import POSITION_MODES, PREPROCESS_MODES, STORAGE_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model.compare import Difference
    from model.config import StorageType

model_cli = AppGroup("model", help="Fetch, inspect, convert and measure models.")

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
TARGET = TargetFile()
WHAT_THE_BUNDLED_MODEL_DOES = """\
It finds copies and crops of a picture, the same object, and things of the same kind. It looks at 98 x 98
pixels: what takes small details (breeds, models, text, many things in one picture) is for DINOv2-base."""
HOW_TO_GET_DINOV2 = """\
To use DINOv2 instead:
  flask model fetch dinov2-base      (346 MB; also: dinov2-small, -large, -giant, and each with -reg)
  MODEL=dinov2-base make run         (or MODEL=dinov2-base in .env)
Each model needs its own index: flask gallery index DIR"""


def encoder_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose an encoder; the defaults come from the settings."""
    options = (
        click.option(
            "--weights", type=FILE, help="Checkpoint: .safetensors, .npz or .pth; default: the model in use."
        ),
        click.option(
            "--preprocess",
            type=click.Choice(PREPROCESS_MODES),
            help="How a picture becomes the network's input.",
        ),
        click.option(
            "--positions", type=click.Choice(POSITION_MODES), help="How position embeddings are interpolated."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@model_cli.command("convert")
@click.argument("source", metavar="SRC", type=FILE)
@click.argument("destination", metavar="DST", type=TARGET)
@click.option(
    "--storage",
    type=click.Choice(STORAGE_TYPES),
    default="float32",
    show_default=True,
    help="How numbers are stored; int8: matrices, with a scale for each row.",
)
@readable_errors
def convert_command(source: Path, destination: Path, storage: StorageType) -> None:
    """Convert a checkpoint to safetensors.

    SRC is a .npz, .safetensors or .pth file with the key names of Meta's DINOv2 repository, of the Hugging
    Face hub or of transformers. DST is the .safetensors file to write.
    """
    from model.checkpoints.convert import convert

    config = convert(source, destination, storage)
    sizes = f"width {config.width}, depth {config.depth}, {config.parameters:,} parameters"
    click.echo(f"{destination}: {sizes}, {storage}, {destination.stat().st_size / 1e6:.1f} MB.")


@model_cli.command("embed")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=FILE)
@encoder_options
@click.option(
    "--output", metavar="F.npy", required=True, type=click.File("wb", atomic=True), help="File to write."
)
@readable_errors
def embed(
    images: Sequence[Path],
    weights: Path | None,
    preprocess: str | None,
    positions: str | None,
    output: BinaryIO,
) -> None:
    """Write the features of pictures to a file.

    They are the CLS features of the IMAGEs, float32 of shape (n, D), not normalised.
    """
    import numpy as np

    encoder = encoder_in_use(weights, preprocess, positions)
    features = encoder.encode(images)
    np.save(output, features, allow_pickle=False)
    count, dim = features.shape
    click.echo(f"{output.name}: {count} x {dim}, {encoder.name}, {encoder.preprocess}.")


@model_cli.command("verify")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=FILE)
@encoder_options
@click.option("--reference", metavar="F.npy", type=FILE, help="Features of the IMAGEs, as written by embed.")
@click.option(
    "--against", type=click.Choice(["transformers"]), help="Compute the reference with this library."
)
@click.option("--cosine", metavar="X", default=1e-6, show_default=True, help="Largest allowed 1 - cosine.")
@click.option(
    "--largest", metavar="X", default=1e-4, show_default=True, help="Largest allowed difference of a number."
)
@click.pass_context
@readable_errors
def verify(
    context: click.Context,
    images: Sequence[Path],
    weights: Path | None,
    preprocess: str | None,
    positions: str | None,
    reference: Path | None,
    against: str | None,
    cosine: float,
    largest: float,
) -> None:
    """Compare the features of pictures with a reference.

    The exit status is 1 unless the features of all IMAGEs agree.
    """
    from model.compare import compare, read_reference, transformers_features

    if (reference is None) == (against is None):
        raise click.UsageError("Pass either --reference F.npy or --against transformers.")
    encoder = encoder_in_use(weights, preprocess, positions or ("transformers" if against else None))
    features = encoder.encode(images)
    if reference is not None:
        expected = read_reference(reference)
    else:
        pixels = [encoder.prepare(picture) for picture in encoder.open(images)]
        expected = transformers_features(weights or settings().model_path, pixels)
    rows = zip(images, compare(features, expected), strict=True)
    passed = [_print_comparison(path, row, row.within(cosine, largest)) for path, row in rows]
    click.echo("PASS" if all(passed) else "FAIL")
    context.exit(0 if all(passed) else 1)


@model_cli.command("info")
@readable_errors
def info() -> None:
    """Show the model in use and how to get DINOv2."""
    from dataclasses import asdict

    from model.checkpoints.weights import open_weights

    current = settings()
    bundled = current.model == BUNDLED_MODEL
    kind = ", which comes with Vitrine: DINOv2-small, distilled anew" if bundled else ""
    click.echo(f"Model in use:   {current.model}{kind}")
    click.echo(f"Checkpoint:     {current.model_path}")
    if not current.model_path.is_file():
        raise click.ClickException(f"The file does not exist.\n{HOW_TO_GET_DINOV2}")
    encoder = encoder_in_use()
    config = ", ".join(f"{name} {value}" for name, value in asdict(encoder.config).items())
    click.echo(f"Network:        {config}")
    click.echo(f"Parameters:     {encoder.config.parameters:,}")
    with open_weights(current.model_path) as weights:
        click.echo(f"Storage:        {weights.storage}, {current.model_path.stat().st_size / 1e6:.1f} MB")
    for name, value in encoder.fingerprint.as_dict().items():
        click.echo(f"{name + ':':<16}{value}")
    if bundled:
        click.echo(WHAT_THE_BUNDLED_MODEL_DOES)
        click.echo(HOW_TO_GET_DINOV2)


@model_cli.command("bench")
@encoder_options
@click.option(
    "--rounds",
    type=click.IntRange(3, 1000),
    default=15,
    show_default=True,
    help="Measurements; the median counts.",
)
@readable_errors
def bench(weights: Path | None, preprocess: str | None, positions: str | None, rounds: int) -> None:
    """Measure the speed of the encoder.

    Prints milliseconds per picture, GFLOP/s beside those of sgemm, and the share of each part of the network.
    """
    from model.bench import measure

    encoder = encoder_in_use(weights, preprocess, positions)
    figures = measure(encoder, rounds)
    side, tokens, threads = encoder.geometry.crop, figures.tokens, figures.threads
    click.echo(f"{encoder.name}, {side} px, {tokens} tokens, {threads} threads, medians")
    click.echo(f"one picture      {figures.seconds * 1e3:8.1f} ms")
    click.echo(f"in batches of 8  {figures.batch_seconds * 1e3:8.1f} ms per picture")
    click.echo(f"work             {figures.gflop:8.2f} GFLOP, at {figures.rate:.0f} GFLOP/s")
    click.echo(f"sgemm            {figures.sgemm:8.0f} GFLOP/s; share {figures.rate / figures.sgemm:.2f}")
    for part, share in figures.parts.items():
        click.echo(f"  {part:<28}{share:6.1%}")


def _print_comparison(path: Path, row: Difference, passed: bool) -> bool:
    verdict = "PASS" if passed else "FAIL"
    distances = f"max {row.largest:.2e}  mean {row.mean:.2e}  squared {row.squared:.2e}"
    click.echo(f"{verdict}  cosine {row.cosine:.9f}  {distances}  {path}")
    return passed
