"""The dataset yaml, and the COCO sources that it joins into one dataset.

A yaml names the sources, each a folder with ``annotations.json`` (COCO; every image has a
``split``) and ``images/``::

    name: omnis-mini
    root: omnis-mini            # relative to the yaml
    sources:
      - bccd                    # a folder below the root
      - {path: busi, name: BUSI, modality: ultrasound, kind: breast ultrasound}
      - {path: monuseg, mpp: 0.25}    # optional: micrometres per pixel of its images
      - {path: labels/cxr, images: cxr/images}    # optional: a folder of images elsewhere below the root
      - {path: cases, slides: geojson, modality: histopathology}    # for eval alone: annotated slides, see
                                # core/datasets/slides/region_samples.py
    classes:                    # optional: synonyms by class; default: the categories' names
      lung nodule: pulmonary nodule/nodule in the lung
    presence: presence.csv      # optional, relative to the yaml: see core/datasets/presence.py;
                                # or omnis, the shipped table: see core/datasets/omnis.py
    kinds: kinds.csv            # optional, relative to the yaml, in place of the key "kind" of each source:
                                # see core/datasets/source_kinds.py
    novel: [colon polyp]        # optional: classes that count as unseen in an evaluation
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.datasets.omnis import OMNIS, presence_from_omnis
from medrov_cli.core.datasets.presence import (
    POSSIBLE,
    PresenceTable,
    presence_from_annotations,
    read_presence,
)
from medrov_cli.core.datasets.source_kinds import kind_entries, kinds_of_dataset
from medrov_cli.core.datasets.sources import Sample, Source, invalid, read_source
from medrov_cli.core.datasets.yaml_files import read_yaml
from medrov_cli.core.records.image_kinds import KindEntry
from medrov_cli.core.settings.choices import SPLITS, Modality, Split
from medrov_cli.core.text.class_names import name_parts

TAUGHT: tuple[Split, ...] = ("train",)
"""Splits that a detector learns from."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Sources that share one list of classes.

    Attributes
    ----------
    name
        From the yaml.
    classes
        Class names in order of first use as an annotated class: added labels change no order.
    synonyms
        Other names of each class, given by the yaml.
    sources
        The origins.
    samples
        By split.
    presence
        int8, (sources, classes): 1 annotated, 0 possible but not annotated, -1 impossible.
    novel
        Rows of the classes that count as unseen in an evaluation; training does not look at it.
    kinds
        Kind of the images of each source; empty if the yaml does not state kinds.
    """

    name: str
    classes: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]]
    sources: tuple[Source, ...]
    samples: Mapping[Split, tuple[Sample, ...]]
    presence: PresenceTable
    novel: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def kind_entries(self) -> tuple[KindEntry, ...]:
        """Return the kinds in the order of their names, with the classes that they can show."""
        modalities = [source.modality for source in self.sources]
        return kind_entries(self.kinds, modalities, self.classes, self.presence)

    def modalities_of(self, class_id: int) -> tuple[Modality, ...]:
        """Return the modalities in which the class is annotated, in the order of ``Modality``."""
        seen = {s.modality for s in self.sources if class_id in s.class_ids}
        return tuple(m for m in Modality if m in seen)


def load_dataset(
    yaml_path: Path,
    root: Path | None = None,
    *,
    presence: str | None = None,
    pseudo: Collection[Split] = TAUGHT,
    slides: bool = False,
) -> Dataset:
    """Read a dataset yaml and all its sources.

    Parameters
    ----------
    yaml_path
        The yaml file.
    root
        Folder of the sources, in place of the yaml's own ``root``.
    presence
        Presence table, relative to the working folder, or ``omnis``, in place of the yaml's own.
    pseudo
        Splits whose samples have the boxes that a detector added (``"source": "pseudo"``), too. They may
        teach; they are no truth to judge by.
    slides
        Whether sources of slides are read; else they are refused.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: a file is missing or contradicts itself; the message names it.
    """
    document = _read_yaml(yaml_path)
    if presence is not None:
        document["presence"] = presence if presence == OMNIS else Path(presence).absolute()
    base = root if root is not None else yaml_path.parent / str(document.get("root", "."))
    classes: list[str] = []
    sources: list[Source] = []
    samples: dict[Split, list[Sample]] = {split: [] for split in SPLITS}
    for entry in document["sources"]:
        settings = {"path": entry} if isinstance(entry, str) else dict(entry)
        if "slides" in settings:
            source, found = _read_slides(yaml_path, base, settings, len(sources), classes, slides)
        else:
            source, found = read_source(base, settings, len(sources), classes, pseudo)
        if any(s.name == source.name for s in sources):
            raise invalid(
                f"{yaml_path}: source {source.name!r} is listed twice", "Give each source its own name."
            )
        sources.append(source)
        for split, split_samples in found.items():
            samples[split].extend(split_samples)
    _check_class_names(yaml_path, classes)
    classes, sources, samples = _annotated_first(classes, sources, samples)
    synonyms = _read_synonyms(yaml_path, document.get("classes") or {}, classes)
    return Dataset(
        name=str(document.get("name", yaml_path.stem)),
        classes=tuple(classes),
        synonyms=synonyms,
        sources=tuple(sources),
        samples={split: tuple(items) for split, items in samples.items()},
        presence=_read_presence(yaml_path, document, sources, classes),
        novel=_read_novel(yaml_path, document.get("novel") or [], classes),
        kinds=kinds_of_dataset(yaml_path, document, [(s.name, s.modality) for s in sources]),
    )


def _read_slides(
    path: Path, base: Path, settings: dict[str, Any], source_id: int, classes: list[str], is_allowed: bool
) -> tuple[Source, dict[Split, list[Sample]]]:
    if not is_allowed:
        name = settings.get("name") or settings.get("path")
        raise invalid(
            f"{path}: source {name!r} has slides: eval alone reads them",
            "Cut tiles out of them: medrov data convert --from geojson or ann.",
        )
    from medrov_cli.core.datasets.slides.region_samples import read_slide_source

    return read_slide_source(base, settings, source_id, classes)


def read_dataset_yaml(path: Path) -> dict[str, Any]:
    """Return what a dataset yaml says; its keys are not checked.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: it cannot be read, or has no sources.
    """
    try:
        document = read_yaml(path)
    except OSError as error:
        raise invalid(f"{path}: {error.strerror or error}", "Give the path of a dataset yaml.") from error
    except DocumentError as error:
        raise invalid(f"{path} {error}", "See examples/phantoms.yaml for the form.") from error
    if (
        not isinstance(document, dict)
        or not isinstance(document.get("sources"), list)
        or not document["sources"]
    ):
        raise invalid(f"{path} has no list 'sources'", "See examples/phantoms.yaml for the form.")
    if not all(isinstance(entry, str | dict) for entry in document["sources"]):
        raise invalid(f"{path}: an item of 'sources' names no folder", "See examples/phantoms.yaml.")
    return document


def _read_yaml(path: Path) -> dict[str, Any]:
    document = read_dataset_yaml(path)
    known = {"name", "root", "sources", "classes", "presence", "kinds", "novel"}
    unknown = sorted(set(document) - known)
    if unknown:
        raise invalid(f"{path}: unknown key {unknown[0]!r}", f"Known keys: {', '.join(sorted(known))}.")
    return document


def _check_class_names(path: Path, classes: list[str]) -> None:
    """Refuse names without a text to search by, such as a blank or a slash."""
    for name in classes:
        if not name_parts(name):
            raise invalid(f"{path}: the class name {name!r} has no text", "Rename or remove the category.")


def _annotated_first(
    classes: list[str], sources: list[Source], samples: dict[Split, list[Sample]]
) -> tuple[list[str], list[Source], dict[Split, list[Sample]]]:
    """Return all with the classes in the order in which sources annotate them."""
    annotated = [row for s in sources for row in s.category_rows.values() if row in s.class_ids]
    order = list(dict.fromkeys([*annotated, *range(len(classes))]))
    if order == sorted(order):
        return classes, sources, samples
    row_of = np.argsort(order)

    def moved(source: Source) -> Source:
        rows = {key: int(row_of[row]) for key, row in source.category_rows.items()}
        own = tuple(sorted(int(row_of[row]) for row in source.class_ids))
        return replace(source, category_rows=rows, class_ids=own)

    for own in samples.values():
        own[:] = [replace(s, labels=row_of[s.labels], crowd_labels=row_of[s.crowd_labels]) for s in own]
    return [classes[row] for row in order], list(map(moved, sources)), samples


def _read_presence(
    path: Path, document: dict[str, Any], sources: list[Source], classes: list[str]
) -> PresenceTable:
    annotated = presence_from_annotations([source.class_ids for source in sources], len(classes))
    for row, source in enumerate(sources):
        added = set(source.category_rows.values()) - set(source.class_ids)
        annotated[row, sorted(added)] = POSSIBLE  # a detector saw it: it can be seen there
    names = [source.name for source in sources]
    if "presence" not in document:
        return annotated
    if document["presence"] == OMNIS:
        return presence_from_omnis(path, names, classes, annotated)
    return read_presence(path.parent / str(document["presence"]), names, classes, annotated)


def _read_synonyms(path: Path, given: Any, classes: list[str]) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, dict):
        raise invalid(f"{path}: 'classes' is not a mapping", "Write 'class name: synonym/synonym'.")
    synonyms = {}
    for name, text in given.items():
        _row_of(path, name, classes)
        synonyms[str(name)] = name_parts(str(text))
    return synonyms


def _read_novel(path: Path, given: Any, classes: list[str]) -> tuple[int, ...]:
    if not isinstance(given, list):
        raise invalid(f"{path}: 'novel' is not a list", "Write 'novel: [class name, class name]'.")
    return tuple(sorted({_row_of(path, name, classes) for name in given}))


def _row_of(path: Path, name: Any, classes: list[str]) -> int:
    if name not in classes:
        raise invalid(f"{path}: no source has a class {name!r}", f"Known classes: {', '.join(classes)}.")
    return classes.index(name)
