"""Make the synthetic example inputs, or a training set of further phantoms.

Without arguments the committed files of this folder are written again, byte for byte:

    python examples/make_phantoms.py

With ``--training`` three COCO sources are written, of phantoms that are not among the examples:

    python examples/make_phantoms.py --training 150 --seed 7 --output runs/phantoms
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.data.phantom.abdomen import abdomen_ct, abdomen_volume
from medrov_cli.core.data.phantom.chest import chest_ct
from medrov_cli.core.data.phantom.colon import endoscopy_polyp
from medrov_cli.core.data.phantom.files import dicom_bytes, nifti_bytes, png_bytes
from medrov_cli.core.data.phantom.shapes import Phantom, PhantomObject
from medrov_cli.core.data.phantom.smear import blood_smear

_CHEST_SEED, _SMEAR_SEED, _POLYP_SEED, _VOLUME_SEED = 5, 11, 1, 3
_FIRST_TRAINING_SEED = 1_000_000  # far above the seeds of the examples
_LUNG_HU, _SOFT_HU, _WIDE_HU = (1500.0, -600.0), (400.0, 40.0), (2000.0, 0.0)  # width, center
_INVISIBLE_HU = -200.0  # ground glass below this is as black as lung in the soft-tissue window


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


def _window(hu: np.ndarray, width_hu: float, center_hu: float) -> np.ndarray:
    """Return uint8 RGB of HU through a window."""
    grey = np.clip((hu.astype(np.float64) - center_hu) / width_hu + 0.5, 0, 1)
    return np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, axis=2)


def _training_ct(seed: int) -> Phantom:
    """Return a chest or an abdominal slice through a window that suits it, slightly varied."""
    rng = np.random.default_rng([seed, 1])
    is_chest = bool(rng.random() < 0.67)
    phantom = chest_ct(seed) if is_chest else abdomen_ct(seed)
    nodules = [drawn for drawn in phantom.objects if drawn.class_name == "lung nodule"]
    choices = [_LUNG_HU, _LUNG_HU, _LUNG_HU, _SOFT_HU, _WIDE_HU] if is_chest else [_SOFT_HU] * 2 + [_WIDE_HU]
    if any(phantom.pixels[drawn.mask].mean() < _INVISIBLE_HU for drawn in nodules):
        choices = [_LUNG_HU]
    width, center = choices[int(rng.integers(len(choices)))]
    if rng.random() < 0.5:
        width, center = width * rng.uniform(0.8, 1.25), center + width * rng.uniform(-0.05, 0.05)
    pixels = _window(phantom.pixels, width, center)
    return Phantom(pixels, phantom.objects, phantom.modality, phantom.pixel_spacing_mm)


def _training_smear(seed: int) -> Phantom:
    sizes = ((480, 640), (480, 640), (400, 400), (576, 576))
    return blood_smear(seed, size_hw=sizes[seed % len(sizes)])


@dataclass(frozen=True)
class TrainingSource:
    """One COCO source: its modality, what draws its images, and every class that it may hold."""

    modality: str
    draw: Callable[[int], Phantom]
    classes: tuple[str, ...]


_CHEST_CLASSES = ("lung nodule", "left lung", "right lung", "heart", "trachea", "aorta", "vertebra")
_ABDOMEN_CLASSES = ("liver", "left kidney", "right kidney")
SOURCES = {
    "phantom_ct": TrainingSource("ct", _training_ct, _CHEST_CLASSES + _ABDOMEN_CLASSES),
    "phantom_smear": TrainingSource(
        "microscopy", _training_smear, ("red blood cell", "white blood cell", "platelets")
    ),
    "phantom_endoscopy": TrainingSource("endoscopy", endoscopy_polyp, ("colon polyp",)),
}


def _split(index: int) -> str:
    """Return the split of the ``index``-th image: of ten, eight train, one val, one test."""
    return {8: "val", 9: "test"}.get(index % 10, "train")


def write_source(folder: Path, name: str, count: int, seed: int) -> None:
    """Write one COCO source of ``count`` phantoms."""
    source = SOURCES[name]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    numbers = {class_name: number for number, class_name in enumerate(source.classes, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(count):
        phantom_seed = _FIRST_TRAINING_SEED * (seed + 1) + index
        phantom = source.draw(phantom_seed)
        height, width = phantom.pixels.shape[:2]
        file_name = f"{name}_{phantom_seed}.png"
        (folder / "images" / file_name).write_bytes(png_bytes(phantom.pixels))
        image = {"id": index + 1, "file_name": file_name, "width": width, "height": height}
        images.append({**image, "split": _split(index), "case": str(phantom_seed)})
        for drawn in phantom.objects:
            where = {"id": len(annotations) + 1, "image_id": index + 1, "iscrowd": 0}
            annotations.append({**where, "category_id": numbers[drawn.class_name], **_coco_region(drawn)})
    info = {
        "source": name,
        "dataset": "medrov synthetic phantoms",
        "licence": "CC0 (synthetic, ours)",
        "modality": source.modality,
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
    parser.add_argument("--seed", type=int, default=0, help="of the training phantoms")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder to write to")
    options = parser.parse_args(arguments)
    if options.training is not None:
        for name in SOURCES:
            write_source(options.output / name, name, options.training, options.seed)
    else:
        write_examples(options.output)


if __name__ == "__main__":
    main()
