"""Presets: options of a command in a file, of the package or of the user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import MedrovError, usage_error


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets that come with the package."""
    folder = files("medrov_cli").joinpath("assets", "presets")
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir()))


def read_preset(name: str, options: Collection[str]) -> dict[str, Any]:
    """Return the options of a preset, as ``{"weight-decay": 0.05}``.

    Parameters
    ----------
    name
        A name of :func:`preset_names`, or the path of a TOML file.
    options
        The options that there are, without their dashes.

    Raises
    ------
    MedrovError
        ``USAGE``: no such preset, not TOML, an unknown option, or a value that is none.
    """
    if name in preset_names():
        text = files("medrov_cli").joinpath("assets", "presets", f"{name}.toml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(name, "no preset or file of this name") from error
    try:
        preset = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unusable(name, f"it is not TOML: {error}") from error
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
