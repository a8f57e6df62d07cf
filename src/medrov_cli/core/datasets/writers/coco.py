"""Write COCO: ``annotations.json`` beside ``images/``, which is the form of a source folder, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medrov_cli.core.datasets.coco import write_document
from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoImage
from medrov_cli.core.datasets.source_set import UNSPLIT
from medrov_cli.core.datasets.sources import ANNOTATIONS
from medrov_cli.core.datasets.writers.exported_images import ExportedImage, ExportHead
from medrov_cli.core.datasets.writers.protocol import DatasetWriter, Written, images_folder


class CocoWriter:
    """COCO instances."""

    main_file = ANNOTATIONS
    follows_exif = False

    def image_places(self, images: Sequence[ExportedImage]) -> dict[str, str]:
        """Return the path of each image relative to the output, by its name."""
        return images_folder(images)

    def write(
        self, folder: Path, images: Sequence[ExportedImage], head: ExportHead, image_url: str
    ) -> Written:
        """Write boxes to the last digit, with all other keys of the source; ids are numbered anew.

        Raises
        ------
        MedrovError
            ``OUTPUT_FAILED``.
        """
        del image_url  # file names, no addresses
        modalities = sorted({image.modality.value for image in images})
        info = {"description": "medrov data export", **head.info}
        info.pop("modality", None)  # a dataset yaml may state another one
        if len(modalities) == 1:
            info["modality"] = modalities[0]
        parts = {
            "info": info,
            "categories": head.categories,
            "images": (_image(image, number) for number, image in enumerate(images, 1)),
            "annotations": _annotations(images, head.classes),
        }
        write_document(folder / self.main_file, parts)
        return Written()


def _image(image: ExportedImage, number: int) -> CocoImage:
    stated = {"source": image.source, "modality": image.modality.value}
    if image.split != UNSPLIT:
        stated["split"] = image.split
    if image.case is not None:
        stated["case"] = image.case
    own = CocoImage.make(number, image.name, image.width, image.height, **stated).fields
    return CocoImage({**own, **{k: v for k, v in image.record.items() if k not in {*own, "split", "case"}}})


def _annotations(images: Sequence[ExportedImage], classes: Sequence[str]) -> Iterator[CocoAnnotation]:
    category_ids = {name: number for number, name in enumerate(classes, 1)}
    boxes = ((image_id, box) for image_id, image in enumerate(images, 1) for box in image.boxes)
    for number, (image_id, box) in enumerate(boxes, 1):
        yield CocoAnnotation(box.record).with_ids((number, image_id, category_ids[box.class_name]))


WRITER: DatasetWriter = CocoWriter()
