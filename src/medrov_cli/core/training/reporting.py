"""Settings and metrics that are reported to trackers, without folders of this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SILENCE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "true",  # it does not ask for a key, either
}
"""Environment variables that disable the libraries' telemetry and output."""

WANDB_SETTINGS = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "host": "",
    "program": "medrov train",
    "save_code": False,
    "silent": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
"""Settings of W&B that exclude data of the machine and the user."""

MLFLOW_TAGS = {
    "mlflow.user": "unknown",
    "mlflow.source.name": "medrov train",
    "mlflow.source.git.commit": "",
    "mlflow.source.git.branch": "",
    "mlflow.source.git.repoURL": "",
}
"""Tags that override MLflow's automatic ones: names of the user, the folders and the repository."""

_PATHS = ("dataset", "output", "data_root", "weights", "distillation/weights")
"""Settings that may contain a folder of this machine."""


def tracked(entry: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of an epoch that are reported to trackers, by name."""
    values = {f"val/sources/{_plain(source)}/map50": score["map50"] for source, score in entry["val"].items()}
    for part in ("base", "novel"):
        values |= {f"val/{part}/{key}": value for key, value in (entry[part] or {}).items()}
    values |= {f"train/{term}": value for term, value in entry["loss"].items()}
    values |= {f"train/added/{kind}": value for kind, value in entry["added_a_step"].items()}
    return {**values, "val/map50": entry["map50"], "val/map50_95": entry["map50_95"]}


def reported_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, int | float | str | bool]:
    """Return settings by flat names (``schedule/learning_rate``), without folders of this machine."""
    flat: dict[str, int | float | str | bool] = {}
    for name, value in settings.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= reported_settings(value, f"{key}/")
        elif isinstance(value, int | float):
            flat[key] = value
        elif isinstance(value, list):
            flat[key] = ", ".join(map(str, value)) or "none"
        else:
            flat[key] = "none" if value is None else _without_folder(key, str(value))
    return flat


def _without_folder(key: str, value: str) -> str:
    if key in _PATHS:
        return Path(value).resolve().name
    kind, colon, path = value.partition(":")
    if key == "text_encoder" and kind == "local-dir":
        return f"{kind}{colon}{Path(path).name}"
    return value


def _plain(name: str) -> str:
    """Return a name with letters, digits, - and _ only, as MLflow requires."""
    return re.sub(r"[^\w-]+", "_", name) or "_"
