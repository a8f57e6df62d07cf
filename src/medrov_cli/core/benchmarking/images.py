"""Images of a benchmark: given files, or synthetic phantoms of nine modalities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.phantoms.image_files import dicom_bytes, png_bytes
from medrov_cli.core.phantoms.kinds import KINDS, ct_slice, phantom_seed
from medrov_cli.core.pixels.inputs import Input, expand_inputs
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.settings.choices import Modality

PHANTOMS_A_MODALITY = 5
"""Maximum number of phantoms; a longer round repeats them."""


def collect_images(
    inputs: Sequence[str],
    folder: Path,
    images: int,
    *,
    raster: bool,
    advance: Progress,
    stdin: Iterable[str] | None = None,
) -> list[str]:
    """Return the files of a benchmark: the inputs, or phantoms that are written to a folder.

    Parameters
    ----------
    inputs
        Files, folders and patterns; empty: phantoms.
    folder
        Folder of the phantoms.
    images
        Maximum number of phantoms.
    raster
        Whether CT is written as PNG, for programs that do not read DICOM.
    advance
        Called with the number of drawn phantoms.
    stdin
        Lines of standard input, for an input ``-``.

    Raises
    ------
    MedrovError
        An input error for the first file that cannot be read; ``NO_INPUT``.
    """
    if not inputs:
        return write_phantoms(folder, min(images, PHANTOMS_A_MODALITY * len(KINDS)), raster, advance)
    paths = [item.path for item in expand_inputs(inputs, stdin=stdin)]
    if not paths:
        raise MedrovError(ErrorCode.NO_INPUT, "no input was given", "Leave the images out for phantoms.")
    for path in paths[:images]:
        for _ in read_frames(path):  # a file that fails during the timing would invalidate it
            break
    return paths[:images]


def write_phantoms(folder: Path, count: int, raster: bool, advance: Progress) -> list[str]:
    """Write phantoms of the modalities in turn, CT as DICOM unless ``raster``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        seed = phantom_seed(0, number // len(KINDS))
        path = folder / f"{number:03d}_{kind.name}.png"
        if kind.modality is Modality.CT and not raster:
            path = path.with_suffix(".dcm")
            phantom = ct_slice(seed)
            spacing = phantom.pixel_spacing_mm or (1.0, 1.0)
            path.write_bytes(dicom_bytes(phantom.pixels, spacing, f"benchmark/{seed}"))
        else:
            path.write_bytes(png_bytes(kind.draw(seed).pixels))
        paths.append(str(path))
        advance(number + 1, count, "draw phantoms")
    return paths


def repeat_to_length(paths: Sequence[str], images: int) -> list[Input]:
    """Return a number of inputs; files are repeated if there are fewer."""
    return [Input(path) for path in islice(cycle(paths), images)]
