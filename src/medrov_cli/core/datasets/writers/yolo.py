"""Write ultralytics' YOLO layout: ``data.yaml``, ``images/SPLIT/`` and ``labels/SPLIT/``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import yaml

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.datasets.source_set import UNSPLIT
from medrov_cli.core.datasets.writers.exported_images import ExportedImage, ExportHead, flat_names
from medrov_cli.core.datasets.writers.protocol import DatasetWriter, Written, boxes_inside
from medrov_cli.core.settings.choices import SPLITS


class YoloWriter:
    """YOLO layout of ultralytics."""

    main_file = "data.yaml"
    follows_exif = True

    def image_places(self, images: Sequence[ExportedImage]) -> dict[str, str]:
        """Return the path of each image relative to the output, by its name."""
        return {name: f"images/{place}" for name, place in _places(images).items()}

    def write(
        self, folder: Path, images: Sequence[ExportedImage], head: ExportHead, image_url: str
    ) -> Written:
        """Write a text file an image, and the yaml last.

        A line is ``class centre_x centre_y width height`` as parts of the image, with all digits of a double.

        Raises
        ------
        MedrovError
            ``OUTPUT_FAILED``.
        """
        del image_url  # file names, no addresses
        index_of = {name: index for index, name in enumerate(head.classes)}
        places = _places(images)
        written = Written()
        for image in images:
            boxes, own = boxes_inside(image, with_crowds=False)
            written += own
            lines = [_line(index_of[box.class_name], inside, image) for box, inside in boxes]
            label = PurePosixPath(places[image.name]).with_suffix(".txt")
            with whole_file(folder / "labels" / label) as temporary:
                temporary.write_text("".join(lines), encoding="ascii", newline="\n")
        present = {_folder(image) for image in images}
        document: dict[str, object] = {split: f"images/{split}" for split in SPLITS if split in present}
        document["names"] = dict(enumerate(head.classes))
        text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=1000)
        with whole_file(folder / self.main_file) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
        return written


def _places(images: Sequence[ExportedImage]) -> dict[str, str]:
    """Return where each image stands below ``images/``, by its name. One without a split is in ``train``."""
    flat = flat_names(images)
    return {image.name: f"{_folder(image)}/{flat[image.name]}" for image in images}


def _folder(image: ExportedImage) -> str:
    return "train" if image.split == UNSPLIT else image.split


def _line(index: int, box_xywh: tuple[float, float, float, float], image: ExportedImage) -> str:
    x, y, w, h = box_xywh
    numbers = (
        (x + w / 2) / image.width,
        (y + h / 2) / image.height,
        w / image.width,
        h / image.height,
    )
    return " ".join([str(index), *map(repr, numbers)]) + "\n"


WRITER: DatasetWriter = YoloWriter()
