"""Synthetic phantoms as sources of any size: the procedure of ``medrov data phantom``.

Every image is a function of the seed and its number alone: a longer run begins with the images of a
shorter one, and an interrupted one is repeated to the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medrov_cli.core.building.cases import hashed_case
from medrov_cli.core.building.claims import claim_folder
from medrov_cli.core.building.opened import write_annotations
from medrov_cli.core.config import Modality
from medrov_cli.core.data.phantom.abdomen import abdomen_volume
from medrov_cli.core.data.phantom.catalogue import (
    KINDS,
    VOLUME_CLASSES,
    PhantomKind,
    ct_slice,
    phantom_seed,
    split_of,
)
from medrov_cli.core.data.phantom.files import dicom_bytes, label_bytes, nifti_bytes, png_bytes
from medrov_cli.core.data.phantom.shapes import PhantomObject
from medrov_cli.core.data.source import ANNOTATIONS, IMAGES
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.files import whole_file

Form = Literal["png", "masks", "dicom", "nifti"]
Advance = Callable[[int, int | None, str], None]
Step = Callable[[], None]

RUN_FILE = "phantom.json"
"""In each folder: what it was begun with."""

RUN_SCHEMA = "medrov.data.phantom-run/1"
BOX_TABLE = "boxes.csv"
LABEL_MAP = "dataset.json"
_VOLUME_SLICES, _VOLUME_SIDE = 24, 160
_LICENCE = "CC0 (synthetic, ours)"


@dataclass(frozen=True, slots=True)
class PhantomConfig:
    """What to draw.

    Attributes
    ----------
    output
        Folder for one folder a modality.
    count
        Images (or volumes) a modality.
    seed
        Other seeds give other images.
    modalities
        Which; empty: all that the form can hold.
    form
        ``png``: source folders. ``masks``: PNG with a mask a class. ``dicom``: CT slices with a table of
        boxes. ``nifti``: CT volumes with label volumes. The latter three are for ``data convert``.
    resume
        Go on with an interrupted run.
    """

    output: Path
    count: int = 100
    seed: int = 0
    modalities: tuple[Modality, ...] = ()
    form: Form = "png"
    resume: bool = False


@dataclass(frozen=True, slots=True)
class PhantomSource:
    """One folder of phantoms.

    Attributes
    ----------
    name, modality
        Of the source; the folder has the same name.
    images, boxes
        How many; a volume is one image, with the boxes of its slices.
    classes
        Every class that it may hold.
    """

    name: str
    modality: Modality
    images: int
    boxes: int
    classes: tuple[str, ...]


def run_phantoms(config: PhantomConfig, progress: Advance = lambda *_: None) -> tuple[PhantomSource, ...]:
    """Write one folder a modality; what makes it whole is written last.

    Raises
    ------
    MedrovError
        ``USAGE``: the form cannot hold a modality, or a folder is there already. ``OUTPUT_FAILED``.
    """
    kinds = _kinds(config)
    for kind in kinds:
        settings = {"format": config.form, "count": config.count, "seed": config.seed}
        described = {"schema": RUN_SCHEMA, "settings": settings}
        claim_folder(config.output / kind.name, RUN_FILE, described, resume=config.resume)
    done = 0
    sources = []
    for kind in kinds:

        def step(name: str = kind.name) -> None:
            nonlocal done
            done += 1
            progress(done, config.count * len(kinds), name)

        sources.append(_WRITERS[config.form](config, kind, step))
    return tuple(sources)


def _kinds(config: PhantomConfig) -> tuple[PhantomKind, ...]:
    only_ct = config.form in ("dicom", "nifti")
    other = [modality for modality in config.modalities if only_ct and modality is not Modality.CT]
    if other:
        raise MedrovError(
            ErrorCode.USAGE,
            f"--format {config.form} is for CT, not for {other[0].value}.",
            "Leave --modality out, or take --format png.",
        )
    wanted = config.modalities or ((Modality.CT,) if only_ct else tuple(Modality))
    return tuple(kind for kind in KINDS if kind.modality in wanted)


def _write_pictures(config: PhantomConfig, kind: PhantomKind, step: Step) -> PhantomSource:
    folder = config.output / kind.name
    id_of = {name: number for number, name in enumerate(kind.classes, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(config.count):
        seed = phantom_seed(config.seed, index)
        phantom = kind.draw(seed)
        file = f"{kind.name}_{seed}.png"
        _write(folder / IMAGES / file, png_bytes(phantom.pixels))
        height, width = phantom.pixels.shape[:2]
        image = {"id": index + 1, "file_name": file, "width": width, "height": height}
        images.append({**image, "split": split_of(index), "case": hashed_case(kind.name, str(seed))})
        for drawn in phantom.objects:
            where = {
                "id": len(annotations) + 1,
                "image_id": index + 1,
                "category_id": id_of[drawn.class_name],
            }
            annotations.append({**where, **_region(drawn), "iscrowd": 0})
        step()
    info = {
        "source": kind.name,
        "dataset": "medrov synthetic phantoms",
        "licence": _LICENCE,
        "modality": kind.modality.value,
        "notes": f"medrov data phantom --count {config.count} --seed {config.seed}; synthetic, not patients",
    }
    document = {
        "info": info,
        "categories": [{"id": number, "name": name} for name, number in id_of.items()],
        "images": images,
        "annotations": annotations,
    }
    write_annotations(folder / ANNOTATIONS, document)
    return PhantomSource(kind.name, kind.modality, len(images), len(annotations), kind.classes)


def _region(drawn: PhantomObject) -> dict[str, Any]:
    x1, y1, x2, y2 = drawn.box_xyxy
    return {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": int(np.count_nonzero(drawn.mask))}


def _write_masks(config: PhantomConfig, kind: PhantomKind, step: Step) -> PhantomSource:
    """Write ``images/STEM.png`` and ``masks/CLASS/STEM.png``: all objects of a class share a mask."""
    folder, boxes = config.output / kind.name, 0
    for index in range(config.count):
        seed = phantom_seed(config.seed, index)
        phantom = kind.draw(seed)
        file = f"{kind.name}_{seed}.png"
        _write(folder / IMAGES / file, png_bytes(phantom.pixels))
        for name in kind.classes:
            own = [drawn.mask for drawn in phantom.objects if drawn.class_name == name]
            mask = np.any(own, axis=0) if own else np.zeros(phantom.pixels.shape[:2], dtype=np.bool_)
            grey = np.repeat((mask * np.uint8(255))[..., None], 3, axis=2)
            _write(folder / "masks" / name / file, png_bytes(grey))
        boxes += len(phantom.objects)
        step()
    return PhantomSource(kind.name, kind.modality, config.count, boxes, kind.classes)


def _write_slices(config: PhantomConfig, kind: PhantomKind, step: Step) -> PhantomSource:
    """Write ``images/NAME.dcm``, and the boxes with the columns of VinDr-CXR's table."""
    folder, rows = config.output / kind.name, []
    for index in range(config.count):
        seed = phantom_seed(config.seed, index)
        phantom = ct_slice(seed)
        name = f"{kind.name}_{seed}"
        spacing = phantom.pixel_spacing_mm or (1.0, 1.0)
        content = dicom_bytes(phantom.pixels, spacing, f"data/{name}", f"SYNTHETIC-{seed}")
        _write(folder / IMAGES / f"{name}.dcm", content)
        rows += [(name, drawn.class_name, *drawn.box_xyxy) for drawn in phantom.objects]
        step()
    _write(folder / BOX_TABLE, _table(("image_id", "class_name", "x_min", "y_min", "x_max", "y_max"), rows))
    return PhantomSource(kind.name, kind.modality, config.count, len(rows), kind.classes)


def _write_volumes(config: PhantomConfig, kind: PhantomKind, step: Step) -> PhantomSource:
    """Write ``images/NAME.nii.gz`` and ``labels/NAME.nii.gz``, and nnU-Net's file of label names."""
    folder, boxes = config.output / kind.name, 0
    for index in range(config.count):
        seed = phantom_seed(config.seed, index)
        volume = abdomen_volume(seed, slices=_VOLUME_SLICES, size=_VOLUME_SIDE)
        name = f"{kind.name}_{seed}.nii.gz"
        _write(folder / IMAGES / name, nifti_bytes(volume))
        _write(folder / "labels" / name, label_bytes(volume, VOLUME_CLASSES))
        boxes += sum(len(objects) for objects in volume.slices)
        step()
    labels = {"background": 0} | {name: number for number, name in enumerate(VOLUME_CLASSES, start=1)}
    _write(folder / LABEL_MAP, (json.dumps({"labels": labels}) + "\n").encode())
    return PhantomSource(kind.name, kind.modality, config.count, boxes, VOLUME_CLASSES)


_WRITERS: Mapping[Form, Callable[[PhantomConfig, PhantomKind, Step], PhantomSource]] = {
    "png": _write_pictures,
    "masks": _write_masks,
    "dicom": _write_slices,
    "nifti": _write_volumes,
}


def _table(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
