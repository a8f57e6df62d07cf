"""Review page of added labels: one HTML file without requests.

The browser saves the decisions as a file, which :mod:`medrov_cli.core.pseudolabeling.decisions` applies.
Pictures are text in the page, and are decoded when they are displayed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.files import require_absent
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.labelled_documents import undecided
from medrov_cli.core.datasets.labelled_folder import LabelledFolder
from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.datasets.sources import Sample, is_pseudo
from medrov_cli.core.pixels.encode import jpeg_uri
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.reports.page import write_page
from medrov_cli.core.reports.pictures import JPEG_QUALITY, draw_thumbnail

DECISIONS_SCHEMA = "medrov.pseudolabel-decisions/1"


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """One undecided label: its values on the page, and its boxes."""

    facts: Mapping[str, Any]
    sample: Sample
    box_xyxy: tuple[float, ...]
    others_xyxy: Sequence[tuple[float, ...]]


def require_free(path: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse to replace a file by a page, except a page if the run is resumed.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    is_page = resume and path.is_file() and DECISIONS_SCHEMA.encode() in path.read_bytes()
    require_absent(path, overwrite=overwrite or is_page, hint="Give another --review, or --overwrite.")


def write_review(path: Path, folder: LabelledFolder, progress: Progress = no_progress) -> int:
    """Write the page of all undecided labels; return their number.

    Parameters
    ----------
    path
        The HTML file.
    folder
        The labels.
    progress
        Called with the number of drawn pictures, their total and the stage.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``; ``DATASET_INVALID`` if an image cannot be read.
    """
    pictures = list(_pictures(folder))
    data = {
        "schema": DECISIONS_SCHEMA,
        "labels": folder.sha256,
        "sources": {
            source.name: {"modality": source.modality.value, "classes": folder.possible(row)}
            for row, source in enumerate(folder.dataset.sources)
        },
        "items": [picture.facts for picture in pictures],
    }
    # In a script element only "</" and "<!--" could end the data, and they are escaped in strings.
    facts = json.dumps(data, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")
    name = folder.dataset.name
    write_page(
        path,
        "review.html.j2",
        title=f"Review of {name}",
        name=name,
        notice=RESEARCH_NOTICE,
        data=Markup(facts),  # noqa: S704 - escaped above
        pictures=_addresses(pictures, progress),
    )
    return len(pictures)


def _addresses(pictures: Sequence[_Picture], progress: Progress) -> Iterator[str]:
    """Yield the ``data:`` address of each picture, drawn when it is written."""
    for number, (picture, image) in enumerate(_with_images(pictures), start=1):
        drawn = draw_thumbnail(image, picture.box_xyxy, list(picture.others_xyxy))
        yield jpeg_uri(drawn, JPEG_QUALITY)
        progress(number, len(pictures), "drawing the review")


def _with_images(pictures: Sequence[_Picture]) -> Iterator[tuple[_Picture, UInt8Array]]:
    """Yield each label with the pixels of its image; the labels of one image follow one another."""
    for sample, own in itertools.groupby(pictures, key=lambda picture: picture.sample):
        image = load_image(sample)
        for picture in own:
            yield picture, image


def _pictures(folder: LabelledFolder) -> Iterator[_Picture]:
    """Yield the undecided labels, image by image."""
    samples = {
        (sample.source_id, sample.image_id): sample
        for split in folder.dataset.samples.values()
        for sample in split
    }
    for row, source in enumerate(folder.dataset.sources):
        document = folder.document(source)
        names = {category.id: category.name for category in document.categories}
        truth: dict[Any, list[tuple[float, ...]]] = {}
        for annotation in document.annotations:
            if not is_pseudo(annotation):
                truth.setdefault(annotation.image_id, []).append(_corners(annotation.box_xywh))
        images = {image.id: image for image in document.images}
        for annotation in undecided(document):
            image = images[annotation.image_id]
            facts = {
                "source": source.name,
                "id": annotation.id,
                "class": names[annotation.category_id],
                "score": annotation.fields.get("score"),
                "image": image.file_name,
                "split": image.require("split"),
            }
            sample = samples[row, annotation.image_id]
            others = truth.get(annotation.image_id, [])
            yield _Picture(facts, sample, _corners(annotation.box_xywh), others)


def _corners(box_xywh: Sequence[float]) -> tuple[float, ...]:
    left, top, width, height = box_xywh
    return left, top, left + width, top + height
