"""The page on which a person decides on added labels: one file that asks nothing of any other place.

Its decisions are saved by the browser as a file, which :mod:`medrov_cli.core.pseudolabeling.decisions`
merges. Pictures stand in the page as text, and become pictures when they are shown.
"""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.labelled_documents import undecided
from medrov_cli.core.datasets.labelled_folder import LabelledFolder
from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.datasets.sources import Sample, is_pseudo
from medrov_cli.core.pixels.encode import jpeg_uri
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.reports.pictures import JPEG_QUALITY, draw_thumbnail
from medrov_cli.core.reports.theme import CONTENT_POLICY

DECISIONS_SCHEMA = "medrov.pseudolabel-decisions/1"

_PICTURES = "@pictures@"


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """One label to decide on: what the page says of it, and how to draw it."""

    facts: Mapping[str, Any]
    sample: Sample
    box_xyxy: tuple[float, ...]
    others_xyxy: Sequence[tuple[float, ...]]


def write_review(path: Path, folder: LabelledFolder, progress: Progress = no_progress) -> int:
    """Write the page of all labels that nobody has decided on; return their number.

    Parameters
    ----------
    path
        The HTML file.
    folder
        The labels.
    progress
        Called with the pictures drawn, their total and the stage.

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
    before, after = _template(folder.dataset.name, data)
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(before)
        for number, (picture, image) in enumerate(_with_images(pictures)):
            text = jpeg_uri(draw_thumbnail(image, picture.box_xyxy, list(picture.others_xyxy)), JPEG_QUALITY)
            stream.write(f'<script type="text/plain" id="picture-{number}">{text}</script>\n')
            progress(number + 1, len(pictures), "drawing the review")
        stream.write(after)
    return len(pictures)


def _with_images(pictures: Sequence[_Picture]) -> Iterator[tuple[_Picture, UInt8Array]]:
    """Yield each label with the pixels of its image; the labels of one image follow one another."""
    for sample, own in itertools.groupby(pictures, key=lambda picture: picture.sample):
        image = load_image(sample)
        for picture in own:
            yield picture, image


def _template(title: str, data: Mapping[str, Any]) -> tuple[str, str]:
    """Return the page before and after its pictures."""
    page = files("medrov_cli").joinpath("assets", "review.html").read_text(encoding="utf-8")
    # In a script element only "</" and "<!--" could end the data, and they are escaped in strings.
    facts = json.dumps(data, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")
    values = {
        "policy": html.escape(CONTENT_POLICY),
        "title": html.escape(title),
        "notice": html.escape(RESEARCH_NOTICE),
        "data": facts,
    }
    before, after = page.split(_PICTURES)
    return re.sub("@(policy|title|notice|data)@", lambda match: values[match[1]], before), after


def _pictures(folder: LabelledFolder) -> Iterator[_Picture]:
    """Yield what is to be decided, image by image."""
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
            sample = samples[row, int(annotation.image_id)]
            others = truth.get(annotation.image_id, [])
            yield _Picture(facts, sample, _corners(annotation.box_xywh), others)


def _corners(box_xywh: Sequence[float]) -> tuple[float, ...]:
    left, top, width, height = box_xywh
    return left, top, left + width, top + height
