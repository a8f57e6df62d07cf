"""Folder of the weights of the package, without a reader of weights."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

MANIFEST_FILE = "manifest.toml"

FORMATS_SUFFIX = ".formats.json"
"""Suffix of the file with ranges and losses of number formats, instead of that of the weights."""


def formats_path(weights: Path) -> Path:
    """Return the path of the file with ranges and losses that belongs to a weights file."""
    return weights.with_suffix(FORMATS_SUFFIX)


def weights_dir() -> Path:
    """Return the folder with the manifest and the weights of the package.

    In an installed wheel it is inside the package. In a source checkout it is ``weights/``
    at the root.
    """
    package = Path(str(resources.files("medrov_cli")))
    installed = package / "weights"
    return installed if (installed / MANIFEST_FILE).is_file() else package.parents[1] / "weights"
