"""Script that draws the synthetic example inputs, or a training set of further phantoms.

Without arguments it writes the committed files of this folder with equal bytes:

    python examples/make_phantoms.py

With ``--training`` it writes three COCO sources of phantoms that are different from the examples:

    python examples/make_phantoms.py --training 150 --seed 7 --output runs/phantoms
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.phantoms.abdomen import abdomen_volume
from medrov_cli.core.phantoms.chest import chest_ct
from medrov_cli.core.phantoms.colon import endoscopy_polyp
from medrov_cli.core.phantoms.image_files import dicom_bytes, nifti_bytes, png_bytes
from medrov_cli.core.phantoms.kinds import KINDS, phantom_seed, split_of
from medrov_cli.core.phantoms.shapes import PhantomObject
from medrov_cli.core.phantoms.smear import blood_smear

_CHEST_SEED, _SMEAR_SEED, _POLYP_SEED, _VOLUME_SEED = 5, 11, 1, 3


def write_examples(folder: Path) -> None:
    """Write the four example inputs, and their exact boxes in ``truth.json``."""
    chest = chest_ct(_CHEST_SEED)
    smear = blood_smear(_SMEAR_SEED, size_hw=(360, 480))
    polyp = endoscopy_polyp(_POLYP_SEED, size=384)
    volume = abdomen_volume(_VOLUME_SEED, slices=16, size=160)
    contents = {
        "chest_ct.dcm": dicom_bytes(chest.pixels, chest.pixel_spacing_mm or (1.0, 1.0), "examples/chest_ct"),
        "blood_smear.png": png_bytes(smear.pixels),
        "polyp.png": png_bytes(polyp.pixels),
        "ct_volume.nii.gz": nifti_bytes(volume),
    }
    frames = {
        "chest_ct.dcm": [chest.objects],
        "blood_smear.png": [smear.objects],
        "polyp.png": [polyp.objects],
        "ct_volume.nii.gz": volume.slices,
    }
    truth = [
        {
            "path": path,
            "frame": frame,
            "objects": [{"class": drawn.class_name, "box_xyxy": drawn.box_xyxy} for drawn in objects],
        }
        for path, slices in frames.items()
        for frame, objects in enumerate(slices)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    lines = ",\n".join(json.dumps(record) for record in truth)
    (folder / "truth.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


SOURCES = {
    kind.name: kind
    for kind in KINDS
    if kind.name in ("phantom_ct", "phantom_smear", "phantom_endoscopy")  # in the training of medrov-n
}


def write_source(folder: Path, name: str, count: int, seed: int) -> None:
    """Write one COCO source of ``count`` phantoms."""
    source = SOURCES[name]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    numbers = {class_name: number for number, class_name in enumerate(source.classes, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(count):
        own_seed = phantom_seed(seed, index)
        phantom = source.draw(own_seed)
        height, width = phantom.pixels.shape[:2]
        file_name = f"{name}_{own_seed}.png"
        (folder / "images" / file_name).write_bytes(png_bytes(phantom.pixels))
        image = {"id": index + 1, "file_name": file_name, "width": width, "height": height}
        images.append({**image, "split": split_of(index), "case": str(own_seed)})
        for drawn in phantom.objects:
            where = {"id": len(annotations) + 1, "image_id": index + 1, "iscrowd": 0}
            annotations.append({**where, "category_id": numbers[drawn.class_name], **_coco_region(drawn)})
    info = {
        "source": name,
        "dataset": "medrov synthetic phantoms",
        "licence": "CC0 (synthetic, ours)",
        "modality": source.modality.value.lower(),
        "notes": f"examples/make_phantoms.py --training {count} --seed {seed}; every drawn object is boxed",
    }
    categories = [{"id": number, "name": class_name} for class_name, number in numbers.items()]
    document = {"info": info, "categories": categories, "images": images, "annotations": annotations}
    (folder / "annotations.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _coco_region(drawn: PhantomObject) -> dict[str, Any]:
    """Return the box (x, y, width, height) and the area of an object, in pixels."""
    x1, y1, x2, y2 = drawn.box_xyxy
    return {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": int(np.count_nonzero(drawn.mask))}


def main(arguments: list[str] | None = None) -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--training", type=int, metavar="N", help="write N training phantoms per source")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training phantoms")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder to write to")
    options = parser.parse_args(arguments)
    if options.training is not None:
        for name in SOURCES:
            write_source(options.output / name, name, options.training, options.seed)
    else:
        write_examples(options.output)


if __name__ == "__main__":
    main()
