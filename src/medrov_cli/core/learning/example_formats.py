"""Format of examples by names and content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.datasets.dataset import read_dataset_yaml

_YAMLS = (".yaml", ".yml")

DATASET = "dataset"
"""Name of the format of a dataset yaml."""


def guess_format(path: Path) -> str:
    """Return the format of an input by its names and first characters.

    Raises
    ------
    MedrovError
        ``NOT_FOUND``; ``USAGE`` if it is no known format.
    """
    if not path.exists():
        raise MedrovError(ErrorCode.NOT_FOUND, f"no examples {path}", "Give a dataset yaml or annotations.")
    if path.is_dir():
        return _format_of_folder(path)
    if path.suffix.lower() in _YAMLS:
        try:
            read_dataset_yaml(path)
        except MedrovError:
            return "yolo"
        return DATASET
    if path.suffix.lower() == ".json":
        return "label-studio" if isinstance(_json_of(path), list) else "coco"
    if path.suffix.lower() == ".xml":
        return "cvat"
    raise _unknown_format(path)


def _format_of_folder(folder: Path) -> str:
    names = {path.name.lower() for path in folder.iterdir()}
    if any((folder / name).is_file() for name in ("data.yaml", "data.yml", "dataset.yaml")):
        return "yolo"
    if "annotations.xml" in names:
        return "cvat"
    if any(name.endswith(".json") for name in names) or "annotations" in names:
        text = next((path for path in sorted(folder.glob("*.json"))), None)
        return "labelme" if text is not None and _is_labelme(text) else "coco"
    if any(path.suffix.lower() == ".xml" for path in folder.rglob("*.xml")):
        return "voc"
    raise _unknown_format(folder)


def _is_labelme(path: Path) -> bool:
    document = _json_of(path)
    return isinstance(document, dict) and "shapes" in document


def _json_of(path: Path) -> Any:
    """Return the value of a JSON file; null if it is none, which the reader of the format reports."""
    try:
        return read_json(path, allow_nan=True)
    except (OSError, DocumentError):
        return None


def _unknown_format(path: Path) -> MedrovError:
    return usage_error(f"cannot tell the format of {path.name}", "Name it by --from.")
