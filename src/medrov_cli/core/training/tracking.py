"""Reports of a run to accelerate's trackers, with local files in the run's folder only."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import ProjectConfiguration

from medrov_cli.core.base.documents import parse_json
from medrov_cli.core.base.environment import changed_environment, is_offline
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.optional import dependency_error, require_packages
from medrov_cli.core.settings.choices import Tracker
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.training.reporting import MLFLOW_TAGS, SILENCE, WANDB_SETTINGS, reported_settings

PROJECT = "medrov"
"""Name of MLflow's experiment, W&B's project and TensorBoard's folder."""

_MLFLOW_FILES = ("", "file", "sqlite")
"""Schemes of tracking URIs on this machine."""

_MLFLOW_SERVICES = ("databricks", "databricks-uc", "uc")
"""Tracking URIs without a scheme that are not on this machine."""

_PACKAGES = {Tracker.MLFLOW: "mlflow-skinny"}
"""Packages of trackers with another name than the tracker."""

_MLFLOW_STORE = ("sqlalchemy", "alembic")
"""Packages that MLflow needs for a local database; a server does not need them."""


def check_trackers(config: TrainSettings) -> None:
    """Check that the trackers can work, before anything is read or written.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``; ``NETWORK_FORBIDDEN`` for a server of MLflow while offline; ``USAGE``
        for W&B without a login.
    """
    if not config.trackers:
        return
    os.environ.update(SILENCE)  # read by the libraries at import
    os.environ.setdefault("DO_NOT_TRACK", "true")
    available = [str(tracker) for tracker in get_available_trackers()]
    for tracker in config.trackers:
        if tracker not in available:
            raise dependency_error(f"--log-to {tracker}", (_PACKAGES.get(tracker, str(tracker)),))
    offline = is_offline(config.offline)
    if Tracker.MLFLOW in config.trackers:
        _check_mlflow(offline)
    if Tracker.WANDB in config.trackers and not offline:
        _check_wandb()


def _check_mlflow(offline: bool) -> None:
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        require_packages("--log-to mlflow", _MLFLOW_STORE)
    elif offline and (urlsplit(uri).scheme not in _MLFLOW_FILES or uri in _MLFLOW_SERVICES):
        raise MedrovError(
            ErrorCode.NETWORK_FORBIDDEN,
            "--log-to mlflow: MLFLOW_TRACKING_URI names a server",
            "Unset it to report into the run's folder, or run without --offline and MEDROV_OFFLINE.",
        )


def _check_wandb() -> None:
    """Check that W&B has a key, without a prompt and without the network."""
    wandb = import_module("wandb")
    try:
        wandb.login(verify=False)  # its own offline modes need no key, and raise no error
    except wandb.Error as error:
        raise usage_error(
            f"--log-to wandb: {_first_line(error)}",
            "Run 'wandb login' once, set WANDB_API_KEY, or use --offline.",
        ) from error


def accelerator_options(config: TrainSettings) -> dict[str, Any]:
    """Return the options of an ``Accelerator`` for the trackers."""
    return {
        "log_with": [str(tracker) for tracker in config.trackers] or None,
        "project_config": ProjectConfiguration(
            project_dir=str(config.output), logging_dir=str(config.output / Tracker.TENSORBOARD)
        ),
    }


@contextmanager
def reported_run(
    config: TrainSettings, accelerator: Accelerator, settings: Mapping[str, Any], step: int
) -> Iterator[None]:
    """Run the body as a run of the trackers; close them also after an error.

    Parameters
    ----------
    config, accelerator
        Settings and accelerator of the run.
    settings
        Settings of the run, as JSON; only the last name of a folder is reported.
    step
        Number of completed optimizer steps; TensorBoard's records of later steps, from a killed run, are
        discarded.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED`` if a tracker cannot be reached or written to.
    """
    with changed_environment(_places(config) if config.trackers else {}):  # a later run has another folder
        try:
            if config.trackers and accelerator.is_main_process:  # W&B would start a run in each
                _open(config, accelerator, settings, step)
            yield
        except BaseException:
            _give_up(accelerator)
            raise
        with _clear_errors():
            accelerator.end_training()


def _open(config: TrainSettings, accelerator: Accelerator, settings: Mapping[str, Any], step: int) -> None:
    folder = config.output.resolve()
    mlflow: dict[str, Any] = {"run_name": folder.name}
    wandb: dict[str, Any] = {"name": folder.name, "settings": WANDB_SETTINGS}
    if Tracker.MLFLOW in config.trackers and os.environ["MLFLOW_TRACKING_URI"] == _own_store(folder):
        (folder / "mlflow").mkdir(parents=True, exist_ok=True)
        mlflow["logging_dir"] = str(folder / "mlflow" / "artifacts")
    if not os.environ.get("WANDB_DIR"):
        wandb["dir"] = str(folder)
    if is_offline(config.offline) and os.environ.get("WANDB_MODE") != "disabled":
        wandb["mode"] = "offline"
    tensorboard = {"purge_step": step + 1} if step else {}
    options = {"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}
    with _clear_errors():
        accelerator.init_trackers(PROJECT, config=reported_settings(settings), init_kwargs=options)


def _give_up(accelerator: Accelerator) -> None:
    """Close the opened trackers with the state of a failed run; errors in it are suppressed.

    The process group is not closed: other processes may wait in it for this one.
    """
    for tracker in accelerator.trackers:
        with suppress(MedrovError), _clear_errors():
            if not hasattr(tracker, "tracker"):
                continue  # an earlier one failed to start
            if tracker.name == Tracker.WANDB:
                tracker.tracker.finish(exit_code=1)
            elif tracker.name == Tracker.MLFLOW:
                import_module("mlflow").end_run("FAILED")
            else:
                tracker.finish()
    accelerator.trackers.clear()


def log_numbers(accelerator: Accelerator, values: Mapping[str, float], step: int) -> None:
    """Report numbers, by name.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    if accelerator.trackers:
        with _clear_errors():
            accelerator.log(dict(values), step=step)


def _own_store(folder: Path) -> str:
    """Return the URI of MLflow's database in a run's folder, quoted, as MLflow unquotes it."""
    return f"sqlite:///{quote((folder / 'mlflow' / 'mlflow.db').as_posix())}"


def _places(config: TrainSettings) -> dict[str, str]:
    """Return variables that keep files in the run's folder, without those that the user has set."""
    folder = config.output.resolve()
    places = {
        "MLFLOW_TRACKING_URI": _own_store(folder),
        "WANDB_CACHE_DIR": str(folder / "wandb" / "cache"),
        "WANDB_DATA_DIR": str(folder / "wandb" / "data"),
    }
    tags = {**MLFLOW_TAGS, **_given_tags()}
    return {k: os.environ.get(k) or v for k, v in places.items()} | {"MLFLOW_TAGS": json.dumps(tags)}


def _given_tags() -> dict[str, Any]:
    """Return the tags of the environment."""
    try:
        return dict(parse_json(os.environ.get("MLFLOW_TAGS") or "{}"))
    except (TypeError, ValueError):
        raise usage_error("MLFLOW_TAGS is not a JSON object", "Correct or unset the variable.") from None


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Convert the libraries' errors, and redirect their output away from stdout."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as error:
        raise MedrovError(
            ErrorCode.OUTPUT_FAILED,
            f"--log-to: {type(error).__name__}: {_first_line(error)}",
            "Continue with --resume and a shorter --log-to; the last saved state is complete.",
        ) from error


def _first_line(error: Exception) -> str:
    """Return the first line of an error, without passwords in URLs."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    return re.sub(r"://[^/@\s]+@", "://", lines[0])
