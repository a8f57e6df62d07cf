"""The folder of a dataset with added labels: written beside the images, which stay where they are.

It holds, for each source, ``SOURCE/annotations.json``; ``dataset.yaml``, which finds the original
images; ``presence.csv``; and ``manifest.json``, written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.files import bring_file, sha256_of_file, whole_file
from medrov_cli.core.base.name_collisions import collision_key
from medrov_cli.core.datasets.coco import write_document
from medrov_cli.core.datasets.coco_records import CocoDocument
from medrov_cli.core.datasets.dataset import Dataset, load_dataset, read_dataset_yaml
from medrov_cli.core.datasets.labelled_documents import read_labelled
from medrov_cli.core.datasets.presence import POSSIBLE, presence_csv
from medrov_cli.core.datasets.sources import ANNOTATIONS, Source, invalid
from medrov_cli.core.settings.choices import SPLITS

DATASET = "dataset.yaml"
MANIFEST = "manifest.json"
PRESENCE = "presence.csv"


def write_folder(
    folder: Path,
    dataset: Dataset,
    changed: Callable[[int], CocoDocument | None],
    manifest: Mapping[str, Any],
    *,
    is_moved: bool = False,
) -> dict[str, Any]:
    """Write a dataset whose images are those of another; return its manifest.

    Parameters
    ----------
    folder
        Where to.
    dataset
        The dataset, with its presence table.
    changed
        From the row of a source to its annotations, if they have changed; the others' files are copied.
    manifest
        What is to be said; the SHA-256 of each file that is written is added.
    is_moved
        Whether the folder will be copied to another place without the images: their paths are then absolute.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    outputs = {}
    entries = []
    for row, (source, name) in enumerate(zip(dataset.sources, folder_names(dataset.sources), strict=True)):
        path = folder / name / ANNOTATIONS
        document = changed(row)  # one in memory at a time
        if document is None:
            bring_file(source.folder / ANNOTATIONS, path, link=False)
        else:
            write_document(path, document.parts, ascii_only=True)
        outputs[f"{name}/{ANNOTATIONS}"] = sha256_of_file(path)
        entries.append(
            {
                "path": name,
                "name": source.name,
                "modality": source.modality.value,
                "images": _way(source.images, None if is_moved else folder),
                **({"kind": dataset.kinds[row]} if dataset.kinds else {}),
            }
        )
    names = [source.name for source in dataset.sources]
    presence = presence_csv(names, dataset.classes, dataset.presence.tolist())
    for name, text in ((DATASET, _yaml_text(dataset, entries)), (PRESENCE, presence)):
        with whole_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
        outputs[name] = hashlib.sha256(text.encode()).hexdigest()
    whole = {**manifest, "outputs": outputs}
    with whole_file(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return whole


def written_names(sources: Sequence[Source]) -> tuple[str, ...]:
    """Return the names of the files that :func:`write_folder` writes before the manifest."""
    return (*(f"{name}/{ANNOTATIONS}" for name in folder_names(sources)), DATASET, PRESENCE)


def require_no_original(folder: Path, dataset: Dataset, yaml_path: Path, presence: str | None = None) -> None:
    """Refuse a folder where :func:`write_folder` would replace a file of the dataset that it extends.

    Parameters
    ----------
    folder
        The folder to write.
    dataset
        The dataset. Annotations beside the images are its files, too.
    yaml_path
        Its yaml.
    presence
        Its presence table, instead of that of the yaml, or ``omnis``.

    Raises
    ------
    MedrovError
        ``USAGE``, whether or not the files of an earlier run may be replaced.
    """
    table = read_dataset_yaml(yaml_path).get("presence")
    originals = [yaml_path, *([] if presence is None else [Path(presence)])]
    originals += [] if table is None else [yaml_path.parent / str(table)]
    originals += [place / ANNOTATIONS for s in dataset.sources for place in (s.folder, s.images.parent)]
    for name in (*written_names(dataset.sources), MANIFEST):
        target = folder / name
        if target.exists() and any(file.exists() and target.samefile(file) for file in originals):
            raise usage_error(
                f"--output {folder}: {target} is a file of the dataset", "Give another folder with --output."
            )


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """A folder that :func:`write_folder` has written.

    Attributes
    ----------
    folder
        Where it is.
    dataset
        Its dataset; all boxes are in its samples.
    manifest
        What it says about itself.
    sha256
        Of the manifest, which has those of all other files: what a review is about.
    """

    folder: Path
    dataset: Dataset
    manifest: Mapping[str, Any]
    sha256: str

    @classmethod
    def open(cls, folder: Path) -> LabelledFolder:
        """Read such a folder.

        Raises
        ------
        MedrovError
            ``DATASET_INVALID``: it is none, or a file in it has changed.
        """
        path = folder / MANIFEST
        try:
            manifest = read_json(path)
            outputs = dict(manifest["outputs"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise invalid(
                f"{folder} contains no pseudo-labels", "Give the --output of a finished 'medrov pseudolabel'."
            ) from error
        for name, expected in outputs.items():
            file = folder / name
            if not file.is_file() or sha256_of_file(file) != expected:
                raise invalid(
                    f"{file} was changed after it was written",
                    "Run 'medrov pseudolabel' again, with --overwrite.",
                )
        dataset = load_dataset(folder / DATASET, pseudo=SPLITS)
        return cls(folder, dataset, manifest, sha256_of_file(path))

    def document(self, source: Source) -> CocoDocument:
        """Return the annotations of a source."""
        return read_labelled(source.folder / ANNOTATIONS)

    def possible(self, row: int) -> list[str]:
        """Return the classes that are possible but not annotated in a source."""
        return possible_classes(self.dataset, row)


def possible_classes(dataset: Dataset, row: int) -> list[str]:
    """Return the classes that are possible but not annotated in a source."""
    own = dataset.presence[row] == POSSIBLE
    return [name for name, is_possible in zip(dataset.classes, own, strict=True) if is_possible]


def folder_names(sources: Sequence[Source]) -> list[str]:
    """Return a folder name for each source: its own name, plain, and different from all other names there."""
    names: list[str] = []
    for source in sources:
        plain = re.sub(r"[^\w.-]+", "_", source.name).strip(".") or "source"
        name, number = plain, 2
        while collision_key(name) in map(collision_key, (DATASET, MANIFEST, PRESENCE, *names)):
            name, number = f"{plain}-{number}", number + 1
        names.append(name)
    return names


def _way(images: Path, folder: Path | None) -> str:
    """Return the way from a folder to the images: whole trees can move together; without one, their path."""
    images = images.resolve()
    if folder is None:
        return images.as_posix()
    try:
        return Path(os.path.relpath(images, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return images.as_posix()


def _yaml_text(dataset: Dataset, entries: Sequence[Mapping[str, Any]]) -> str:
    document: dict[str, Any] = {"name": dataset.name, "root": ".", "sources": list(entries)}
    if dataset.synonyms:
        document["classes"] = {name: "/".join(own) for name, own in dataset.synonyms.items()}
    document["presence"] = PRESENCE
    if dataset.novel:
        document["novel"] = [dataset.classes[row] for row in dataset.novel]
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000))
