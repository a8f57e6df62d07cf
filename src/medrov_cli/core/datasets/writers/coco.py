"""Write COCO: ``annotations.json`` beside ``images/``, which is the form of a source folder, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medrov_cli.core.datasets.coco import write_document
from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoImage, numbered_categories
from medrov_cli.core.datasets.source_set import UNSPLIT
from medrov_cli.core.datasets.sources import ANNOTATIONS
from medrov_cli.core.datasets.writers.exported_images import ExportedImage
from medrov_cli.core.datasets.writers.protocol import DatasetWriter, Written, images_folder


class CocoWriter:
    """COCO instances."""

    main_file = ANNOTATIONS
    follows_exif = False

    def image_places(self, images: Sequence[ExportedImage]) -> dict[str, str]:
        """Return the path of each image relative to the output, by its name."""
        return images_folder(images)

    def write(
        self, folder: Path, images: Sequence[ExportedImage], classes: Sequence[str], image_url: str
    ) -> Written:
        """Write boxes to the last digit, with all other keys of the source; ids are numbered anew.

        Raises
        ------
        MedrovError
            ``OUTPUT_FAILED``.
        """
        del image_url  # file names, no addresses
        modalities = sorted({image.modality.value for image in images})
        info = {"description": "medrov data export"}
        if len(modalities) == 1:
            info["modality"] = modalities[0]
        parts = {
            "info": info,
            "categories": numbered_categories(classes),
            "images": (_image(image, number) for number, image in enumerate(images, 1)),
            "annotations": _annotations(images, classes),
        }
        write_document(folder / self.main_file, parts)
        return Written()


def _image(image: ExportedImage, number: int) -> CocoImage:
    more = {"source": image.source, "modality": image.modality.value}
    if image.split != UNSPLIT:
        more["split"] = image.split
    if image.case is not None:
        more["case"] = image.case
    return CocoImage.make(number, image.name, image.width, image.height, **more)


def _annotations(images: Sequence[ExportedImage], classes: Sequence[str]) -> Iterator[CocoAnnotation]:
    category_ids = {name: number for number, name in enumerate(classes, 1)}
    boxes = ((image_id, box) for image_id, image in enumerate(images, 1) for box in image.boxes)
    for number, (image_id, box) in enumerate(boxes, 1):
        yield CocoAnnotation(box.record).with_ids((number, image_id, category_ids[box.class_name]))


WRITER: DatasetWriter = CocoWriter()
