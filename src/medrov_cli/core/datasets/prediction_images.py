"""Images of a COCO file of another program, and the images of a dataset that they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from medrov_cli.core.datasets.coco_records import CocoError, CocoImage
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.image_names import address_readings, fold_name
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.pixels.exif_orientation import read_orientation
from medrov_cli.core.records.orientation import shown_size
from medrov_cli.core.settings.choices import SPLITS, Split

Position = Callable[[Any], int | None]
"""From an image id to its position in the split; null for an image of another split."""


def image_name(dataset: Dataset, sample: Sample) -> str:
    """Return the name of an image in COCO files: ``SOURCE/images/FILE``."""
    source = dataset.sources[sample.source_id]
    return f"{source.name}/images/{sample.image_path.relative_to(source.images).as_posix()}"


def positions_by_file_name(images: Sequence[CocoImage], dataset: Dataset, split: Split) -> Position:
    """Return the position of each image by the longest ending of its path, then without letter case.

    Raises
    ------
    CocoError
        An image is unknown, ambiguous, or listed twice.
    """
    names: dict[tuple[bool, str], list[int | None]] = {}
    for other in SPLITS:
        for number, sample in enumerate(dataset.samples[other]):
            for key in dict.fromkeys(_keys(image_name(dataset, sample))):
                names.setdefault(key, []).append(number if other == split else None)
    positions: dict[Any, int | None] = {}
    for image in images:
        keys = sorted(
            (key for path in address_readings(image.file_name) for key in _keys(path.lstrip("/"))),
            key=lambda key: key[0],
        )
        matches = next((names[key] for key in keys if key in names), None)
        if matches is None:
            raise CocoError(f"the dataset has no image {image.file_name!r}")
        if len(matches) > 1:
            raise CocoError(f"several sources have an image {image.file_name!r}; write SOURCE/images/FILE")
        positions[image.id] = matches[0]
    used = [position for position in positions.values() if position is not None]
    if len(used) != len(set(used)):
        raise CocoError("an image is listed twice")
    return lambda image_id: known_value(positions, image_id, "image id")


def _keys(name: str) -> Iterator[tuple[bool, str]]:
    """Yield whether letter case is ignored, and the text, of each ending of a path."""
    for ending in _endings(name):
        yield False, ending
        yield True, fold_name(ending)


def _endings(name: str) -> Iterator[str]:
    """Yield a path and its endings, longest first; ``images`` folders may be left out."""
    parts = name.split("/")
    for start in range(len(parts)):
        yield "/".join(parts[start:])
    if len(parts) >= 3 and parts[-2] == "images":
        yield "/".join([parts[-3], parts[-1]])


def shown_orientations(
    images: Sequence[CocoImage], image_of: Position, samples: Sequence[Sample]
) -> dict[int, int]:
    """Return the EXIF orientation of the images whose stated size is that of the shown image, by position.

    Raises
    ------
    CocoError
        An image has another size than the file states.
    """
    found = {}
    for image in images:
        position, stated = image_of(image.id), image.stated_size
        if position is None or stated is None:
            continue
        sample = samples[position]
        stored = sample.height, sample.width
        if stated == stored:
            continue
        orientation = read_orientation(sample.image_path)
        if shown_size(stored, orientation) != stated:
            what = f"{stored[1]} x {stored[0]} pixels, not {stated[1]} x {stated[0]}"
            raise CocoError(f"the image {image.file_name!r} has {what}")
        found[position] = orientation
    return found


def known_value(table: dict[Any, Any], key: Any, what: str) -> Any:
    """Return the value of a key; raise `CocoError` if there is none."""
    if key not in table:
        raise CocoError(f"unknown {what} {key!r}")
    return table[key]
