"""The dataset yaml, and the COCO sources that it joins into one dataset.

A yaml names the sources, each a folder with ``annotations.json`` (COCO; every image has a
``split``) and ``images/``::

    name: omnis-mini
    root: omnis-mini            # relative to the yaml
    sources:
      - bccd                    # a folder below the root
      - {path: busi, name: BUSI, modality: ultrasound}
    classes:                    # optional: synonyms by class; default: the categories' names
      lung nodule: pulmonary nodule/nodule in the lung
    presence: presence.csv      # optional, relative to the yaml: see core/data/presence.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from medrov_cli.core.boxes import IntArray, clip_boxes, xywh_to_xyxy
from medrov_cli.core.config import Modality
from medrov_cli.core.data.presence import PresenceTable, presence_from_annotations, read_presence
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.records import Float32Array

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Source:
    """One origin of images.

    Attributes
    ----------
    name
        The dataset id.
    folder
        Holds ``annotations.json`` and ``images/``.
    modality
        One of the nine.
    class_ids
        Rows of the dataset's classes that are annotated here.
    licence
        As the source states it.
    """

    name: str
    folder: Path
    modality: Modality
    class_ids: tuple[int, ...]
    licence: str


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One annotated image.

    Attributes
    ----------
    source_id
        Row of the dataset's sources.
    image_id
        The id in the source's COCO file.
    image_path
        The file.
    height, width
        Pixels, as stored.
    boxes_xyxy
        float32, (n, 4), in pixels of the stored image.
    labels
        int64, (n,), rows of the dataset's classes.
    case
        Patient or volume; null where unknown.
    """

    source_id: int
    image_id: int
    image_path: Path
    height: int
    width: int
    boxes_xyxy: Float32Array
    labels: IntArray
    case: str | None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Sources that share one list of classes.

    Attributes
    ----------
    name
        From the yaml.
    classes
        Class names in order of first use.
    synonyms
        Other names of each class, given by the yaml.
    sources
        The origins.
    samples
        By split.
    presence
        int8, (sources, classes): 1 annotated, 0 possible but not annotated, -1 impossible.
    """

    name: str
    classes: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]]
    sources: tuple[Source, ...]
    samples: Mapping[Split, tuple[Sample, ...]]
    presence: PresenceTable

    def modalities_of(self, class_id: int) -> tuple[Modality, ...]:
        """Return the modalities in which the class is annotated, in the order of ``Modality``."""
        seen = {s.modality for s in self.sources if class_id in s.class_ids}
        return tuple(m for m in Modality if m in seen)


def load_dataset(yaml_path: Path, root: Path | None = None) -> Dataset:
    """Read a dataset yaml and all its sources.

    Parameters
    ----------
    yaml_path
        The yaml file.
    root
        Folder of the sources, in place of the yaml's own ``root``.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: a file is missing or contradicts itself; the message names it.
    """
    document = _read_yaml(yaml_path)
    base = root if root is not None else yaml_path.parent / str(document.get("root", "."))
    classes: list[str] = []
    sources: list[Source] = []
    samples: dict[Split, list[Sample]] = {split: [] for split in SPLITS}
    for entry in document["sources"]:
        settings = {"path": entry} if isinstance(entry, str) else dict(entry)
        source, found = _read_source(base, settings, len(sources), classes)
        if any(s.name == source.name for s in sources):
            raise _invalid(
                f"{yaml_path}: source {source.name!r} is listed twice", "Give each source its own name."
            )
        sources.append(source)
        for split, split_samples in found.items():
            samples[split].extend(split_samples)
    synonyms = _read_synonyms(yaml_path, document.get("classes") or {}, classes)
    presence = presence_from_annotations([source.class_ids for source in sources], len(classes))
    if "presence" in document:
        names = [source.name for source in sources]
        presence = read_presence(yaml_path.parent / str(document["presence"]), names, classes, presence)
    return Dataset(
        name=str(document.get("name", yaml_path.stem)),
        classes=tuple(classes),
        synonyms=synonyms,
        sources=tuple(sources),
        samples={split: tuple(items) for split, items in samples.items()},
        presence=presence,
    )


def _invalid(message: str, hint: str) -> MedrovError:
    return MedrovError(ErrorCode.DATASET_INVALID, message, hint)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _invalid(f"{path}: {error.strerror or error}", "Give the path of a dataset yaml.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _invalid(f"{path} is not a yaml file", "See examples/phantoms.yaml for the form.") from error
    if (
        not isinstance(document, dict)
        or not isinstance(document.get("sources"), list)
        or not document["sources"]
    ):
        raise _invalid(f"{path} has no list 'sources'", "See examples/phantoms.yaml for the form.")
    known = {"name", "root", "sources", "classes", "presence"}
    unknown = sorted(set(document) - known)
    if unknown:
        raise _invalid(f"{path}: unknown key {unknown[0]!r}", f"Known keys: {', '.join(sorted(known))}.")
    return document


def _read_synonyms(path: Path, given: Any, classes: list[str]) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, dict):
        raise _invalid(f"{path}: 'classes' is not a mapping", "Write 'class name: synonym/synonym'.")
    synonyms = {}
    for name, text in given.items():
        if name not in classes:
            raise _invalid(f"{path}: no source has a class {name!r}", f"Known classes: {', '.join(classes)}.")
        synonyms[str(name)] = tuple(part.strip() for part in str(text).split("/") if part.strip())
    return synonyms


def _read_source(
    base: Path, settings: dict[str, Any], source_id: int, classes: list[str]
) -> tuple[Source, dict[Split, list[Sample]]]:
    """Return one source and its samples by split; append its new classes to ``classes``."""
    folder = base / str(settings.get("path", ""))
    file = folder / "annotations.json"
    try:
        coco = json.loads(file.read_text(encoding="utf-8"))
        info = coco.get("info", {})
        modality = Modality.parse(str(settings.get("modality") or info["modality"]))
        category_rows = {}
        for category in coco["categories"]:
            if category["name"] not in classes:
                classes.append(category["name"])
            category_rows[category["id"]] = classes.index(category["name"])
        samples = _read_samples(folder, coco, source_id, category_rows)
    except OSError as error:
        raise _invalid(
            f"{file}: {error.strerror or error}", "Check 'root' and 'sources', or give --data-root."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid(
            f"{file} is not a usable COCO file: {error}",
            "It needs info.modality, categories, annotations, and images with a split (train, val or test).",
        ) from error
    source = Source(
        name=str(settings.get("name") or folder.name),
        folder=folder,
        modality=modality,
        class_ids=tuple(sorted(set(category_rows.values()))),
        licence=str(info.get("licence") or info.get("license") or "unstated"),
    )
    return source, samples


def _read_samples(
    folder: Path, coco: dict[str, Any], source_id: int, category_rows: dict[int, int]
) -> dict[Split, list[Sample]]:
    boxes: dict[int, list[list[float]]] = {image["id"]: [] for image in coco["images"]}
    labels: dict[int, list[int]] = {image["id"]: [] for image in coco["images"]}
    for annotation in coco["annotations"]:
        if annotation.get("iscrowd"):
            continue
        boxes[annotation["image_id"]].append(annotation["bbox"])
        labels[annotation["image_id"]].append(category_rows[annotation["category_id"]])
    samples: dict[Split, list[Sample]] = {split: [] for split in SPLITS}
    for image in coco["images"]:
        split = image["split"]
        if split not in samples:
            raise ValueError(f"image {image['id']} has the unknown split {split!r}")
        boxes_xyxy = xywh_to_xyxy(np.asarray(boxes[image["id"]], dtype=np.float32).reshape(-1, 4))
        boxes_xyxy = clip_boxes(boxes_xyxy, image["height"], image["width"])
        solid = (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(1)
        samples[split].append(
            Sample(
                source_id=source_id,
                image_id=int(image["id"]),
                image_path=folder / "images" / image["file_name"],
                height=int(image["height"]),
                width=int(image["width"]),
                boxes_xyxy=boxes_xyxy[solid].astype(np.float32),
                labels=np.asarray(labels[image["id"]], dtype=np.int64)[solid],
                case=None if image.get("case") is None else str(image["case"]),
            )
        )
    return samples
