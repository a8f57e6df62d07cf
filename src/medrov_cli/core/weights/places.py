"""Folder of the weights of the package, without a reader of weights."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

MANIFEST_FILE = "manifest.toml"


def weights_dir() -> Path:
    """Return the folder with the manifest and the weights of the package.

    In an installed wheel it is inside the package. In a source checkout it is ``weights/``
    at the root.
    """
    package = Path(str(resources.files("medrov_cli")))
    installed = package / "weights"
    return installed if (installed / MANIFEST_FILE).is_file() else package.parents[1] / "weights"
