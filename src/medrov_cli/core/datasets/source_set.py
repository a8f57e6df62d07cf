"""Source folders opened to be looked at or rewritten, whether or not they are fit for training.

:func:`medrov_cli.core.datasets.dataset.load_dataset` wants a split for every image and a presence table
that fits; what is opened here may still lack both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.base.text_files import escaped
from medrov_cli.core.datasets.coco import read_document
from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoCategory, CocoDocument, CocoImage
from medrov_cli.core.datasets.dataset import read_dataset_yaml
from medrov_cli.core.datasets.sources import ANNOTATIONS, IMAGES, invalid, is_pseudo, modality_of
from medrov_cli.core.settings.choices import SPLITS, Modality

UNSPLIT = "none"
"""Where an image without a split is counted."""

_FORM = "See docs/training.md for the form of a source folder."


@dataclass(frozen=True, slots=True, eq=False)
class OpenSource:
    """One source folder with its COCO document.

    Attributes
    ----------
    name
        Of the source.
    folder
        Holds ``annotations.json``.
    images_folder
        Folder of the images; as a rule ``images/`` in the folder.
    modality
        Of the yaml's entry, or of the document.
    document
        Its annotations.
    class_of
        From category ids to class names, in the order of the file.
    """

    name: str
    folder: Path
    images_folder: Path
    modality: Modality
    document: CocoDocument
    class_of: Mapping[Any, str]

    @property
    def images(self) -> Sequence[CocoImage]:
        """Return the image records."""
        return self.document.images

    @property
    def annotations(self) -> Sequence[CocoAnnotation]:
        """Return the annotation records."""
        return self.document.annotations

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the class names, each once, in the order of the file."""
        return tuple(dict.fromkeys(self.class_of.values()))

    def path_of(self, image: CocoImage) -> Path:
        """Return the file of an image record."""
        return self.images_folder / image.file_name

    def where(self, image: CocoImage) -> str:
        """Return what an image is called in messages."""
        return f"{self.name}/{image.file_name}"


@dataclass(frozen=True, slots=True)
class SourceSet:
    """What a yaml or some folders hold.

    Attributes
    ----------
    name
        Of the dataset.
    yaml_path
        Null where folders were given.
    sources
        Those that could be opened.
    failures
        Name and reason of those that could not.
    synonyms
        The yaml's other names of classes.
    presence
        What the yaml names as its presence table.
    """

    name: str
    yaml_path: Path | None
    sources: tuple[OpenSource, ...]
    failures: tuple[tuple[str, MedrovError], ...]
    synonyms: Mapping[str, tuple[str, ...]]
    presence: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Return all class names in order of first use."""
        return tuple(dict.fromkeys(name for source in self.sources for name in source.classes))


def annotated_names(categories: Iterable[CocoCategory]) -> tuple[str, ...]:
    """Return the class names that people annotated, each once: not those that only a detector labelled."""
    return tuple(dict.fromkeys(own.name for own in categories if not is_pseudo(own)))


def split_of(image: CocoImage) -> str:
    """Return the split of an image record, ``none`` where it has none that is known."""
    split = image.fields.get("split")
    return split if split in SPLITS else UNSPLIT


def open_inputs(paths: Sequence[Path], data_root: Path | None = None) -> SourceSet:
    """Open the sources of one dataset yaml, or some source folders.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: the yaml cannot be read, or not one source can be opened. ``USAGE``: a
        yaml together with anything else.
    """
    yamls = [path for path in paths if not path.is_dir() and path.suffix.lower() in (".yaml", ".yml")]
    if yamls and len(paths) > 1:
        raise usage_error(
            "more than one input, and one is a yaml",
            "Give one dataset yaml, or source folders.",
        )
    document = read_dataset_yaml(yamls[0]) if yamls else {"sources": [{"path": str(path)} for path in paths]}
    base = Path()
    if yamls:
        base = data_root if data_root is not None else yamls[0].parent / str(document.get("root", "."))
    sources, failures = [], []
    for entry in document["sources"]:
        settings = entry if isinstance(entry, dict) else {"path": entry}
        folder = base / str(settings.get("path", ""))
        images = base / str(settings["images"]) if "images" in settings else None
        try:
            sources.append(open_source(folder, settings.get("name"), settings.get("modality"), images))
        except MedrovError as error:
            failures.append((str(settings.get("name") or folder.name), error))
    if not sources:
        raise failures[0][1]
    return SourceSet(
        name=str(document.get("name") or (yamls[0].stem if yamls else sources[0].name)),
        yaml_path=yamls[0] if yamls else None,
        sources=tuple(sources),
        failures=tuple(failures),
        synonyms=_synonyms(document.get("classes")),
        presence=None if document.get("presence") is None else str(document["presence"]),
    )


def open_source(
    folder: Path, name: str | None = None, modality: str | None = None, images: Path | None = None
) -> OpenSource:
    """Open one source folder.

    Parameters
    ----------
    folder
        Holds ``annotations.json``.
    name, modality
        In place of the folder's name and of the modality in the document.
    images
        Folder of the images, in place of ``images/`` in the folder.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: its file is missing or contradicts itself; the message says where.
    """
    file = folder / ANNOTATIONS
    try:
        document = read_document(file)
        own = modality_of(document, modality)
    except OSError as error:
        raise invalid(f"{file}: {error.strerror or error}", _FORM) from error
    except ValueError as error:
        raise invalid(f"{file} is not a usable COCO file: {error}", _FORM) from error
    class_of = {category.id: category.name for category in document.categories}
    return OpenSource(
        name=str(name or escaped(folder.resolve().name)),
        folder=folder,
        images_folder=folder / IMAGES if images is None else images,
        modality=own,
        document=document,
        class_of=class_of,
    )


def _synonyms(given: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, dict):
        return {}
    return {
        str(name): tuple(part.strip() for part in str(text).split("/") if part.strip())
        for name, text in given.items()
    }
