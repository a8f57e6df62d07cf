"""Where else a run is reported: accelerate's trackers, kept in the run's folder and private."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import ProjectConfiguration

from medrov_cli.core.base.environment import is_offline
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.settings.choices import Tracker
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.training.reporting import MLFLOW_TAGS, SILENCE, WANDB_SETTINGS, reported_settings

PROJECT = "medrov"
"""MLflow's experiment, W&B's project, TensorBoard's folder."""

_MLFLOW_FILES = ("", "file", "sqlite")
"""Schemes of a tracking URI that stay on this machine."""

_MLFLOW_SERVICES = ("databricks", "databricks-uc", "uc")
"""Tracking URIs without a scheme that do not."""

_MLFLOW_STORE = ("sqlalchemy", "alembic")
"""What MLflow keeps its own database with; a server needs none of it."""


def check_trackers(config: TrainSettings) -> None:
    """Refuse trackers that cannot work, before anything is read or written.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``; ``NETWORK_FORBIDDEN`` for a server of MLflow while offline; ``USAGE``
        for W&B without a login.
    """
    if not config.trackers:
        return
    os.environ.update(SILENCE)  # the libraries read it when they are imported
    os.environ.setdefault("DO_NOT_TRACK", "true")
    available = [str(tracker) for tracker in get_available_trackers()]
    for tracker in config.trackers:
        if tracker not in available:
            raise _missing(tracker, tracker)
    offline = is_offline(config.offline)
    if Tracker.MLFLOW in config.trackers:
        _check_mlflow(offline)
    if Tracker.WANDB in config.trackers and not offline:
        _check_wandb()


def _check_mlflow(offline: bool) -> None:
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        for package in _MLFLOW_STORE:
            if find_spec(package) is None:
                raise _missing(Tracker.MLFLOW, package)
    elif offline and (urlsplit(uri).scheme not in _MLFLOW_FILES or uri in _MLFLOW_SERVICES):
        raise MedrovError(
            ErrorCode.NETWORK_FORBIDDEN,
            "--log-to mlflow: MLFLOW_TRACKING_URI names a server",
            "Unset it to report into the run's folder, or run without --offline and MEDROV_OFFLINE.",
        )


def _check_wandb() -> None:
    """Look for a key, without a question and without the network."""
    wandb = import_module("wandb")
    try:
        wandb.login(verify=False)  # its own offline modes need no key: it says so, and raises nothing
    except wandb.Error as error:
        raise usage_error(
            f"--log-to wandb: {_first_line(error)}",
            "Run 'wandb login' once, set WANDB_API_KEY, or use --offline.",
        ) from error


def _missing(tracker: Tracker, package: str) -> MedrovError:
    return MedrovError(
        ErrorCode.DEPENDENCY_MISSING,
        f"--log-to {tracker} needs the package {package}",
        f"pip install 'medrov[{tracker}]'",
    )


def accelerator_options(config: TrainSettings) -> dict[str, Any]:
    """Return what an ``Accelerator`` has to know of the trackers."""
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
    """Run the body as a run that the trackers know; close them, whatever happens in it.

    Parameters
    ----------
    config, accelerator
        As opened.
    settings
        Of the run, as JSON. Of folders only the last name is reported.
    step
        Optimizer steps done: what TensorBoard has of later ones is of a run that was killed.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``: a tracker cannot be reached, or not be written to.
    """
    with _environment(_places(config) if config.trackers else {}):
        try:
            if config.trackers and accelerator.is_main_process:  # W&B's would start one in each
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
    """Close what was opened of the trackers, as a failed run; the failure itself is somebody else's to tell.

    The process group is left alone: the other processes may wait in it for this one.
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
    """Return the URI of MLflow's database in a run's folder; MLflow unquotes it."""
    return f"sqlite:///{quote((folder / 'mlflow' / 'mlflow.db').as_posix())}"


def _places(config: TrainSettings) -> dict[str, str]:
    """Return the environment that keeps files in the run's folder, where the user has not set it."""
    folder = config.output.resolve()
    places = {
        "MLFLOW_TRACKING_URI": _own_store(folder),
        "WANDB_CACHE_DIR": str(folder / "wandb" / "cache"),
        "WANDB_DATA_DIR": str(folder / "wandb" / "data"),
    }
    tags = {**MLFLOW_TAGS, **json.loads(os.environ.get("MLFLOW_TAGS") or "{}")}
    return {k: os.environ.get(k) or v for k, v in places.items()} | {"MLFLOW_TAGS": json.dumps(tags)}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Run the body with other environment variables: a next run in this process has its own folder."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn the libraries' errors into ours, and keep what they print off our stdout."""
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
    """Return what an error says first, without the password of a URL in it."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    return re.sub(r"://[^/@\s]+@", "://", lines[0])
