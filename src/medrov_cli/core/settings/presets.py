"""Presets: options of a command in a file of the package or the user."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import MedrovError, usage_error


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets of the package."""
    folder = files("medrov_cli").joinpath("assets", "presets")
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir()))


def read_preset(name: str, options: Collection[str]) -> dict[str, Any]:
    """Return the options of a preset, as ``{"weight-decay": 0.05}``.

    Parameters
    ----------
    name
        Name of :func:`preset_names`, or the path of a TOML file.
    options
        Options of the command, without dashes.

    Raises
    ------
    MedrovError
        ``USAGE`` for an unknown preset, invalid TOML, an unknown option or an invalid value.
    """
    from medrov_cli.core.base.documents import read_toml
    from medrov_cli.core.base.text_files import DocumentError

    shipped = files("medrov_cli").joinpath("assets", "presets", f"{name}.toml")
    try:
        preset = read_toml(Path(str(shipped)) if name in preset_names() else Path(name))
    except OSError as error:
        raise _unusable(name, "no preset or file of this name") from error
    except DocumentError as error:
        raise _unusable(name, f"it {error}") from error
    for key, value in preset.items():
        if key not in options:
            raise _unusable(name, f"there is no option --{key}")
        if isinstance(value, dict):
            raise _unusable(name, f"{key} is a table, not a value")
    return preset


def _unusable(name: str, why: str) -> MedrovError:
    return usage_error(
        f"--preset {name}: {why}",
        f"Presets: {', '.join(preset_names())}; or a TOML file with one option per line: batch = 32.",
    )
