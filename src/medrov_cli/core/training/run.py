"""Procedure of ``medrov train``: training of a detector on several sources."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.model.precision import choose_precision
from medrov_cli.core.pixels.budget import limit_memory
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.settings.train import TrainSettings, config_record
from medrov_cli.core.text.image_encoders import check_image_tower
from medrov_cli.core.training.assembly import open_accelerator
from medrov_cli.core.training.epoch_progress import TrainProgress, TrainProgressCallback
from medrov_cli.core.training.failures import clear_failures
from medrov_cli.core.training.notices import NO_PROGRESS, require_batch, validation_notices
from medrov_cli.core.training.reporting import tracked
from medrov_cli.core.training.results import metrics_entry
from medrov_cli.core.training.run_inputs import identify_inputs, require_same_inputs
from medrov_cli.core.training.session import EpochState, TrainingSession, open_session
from medrov_cli.core.training.tracking import log_numbers, reported_run
from medrov_cli.core.training.training_files import TRAINING, TrainingFiles


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Result of a finished run.

    Attributes
    ----------
    weights
        The weights of the best epoch; of the last one if validation found nothing.
    best_epoch
        1-based.
    history
        One entry per epoch, as in ``metrics.jsonl``.
    is_main
        Whether this is the process that writes; the others have nothing to say.
    notices
        Sentences on images that were skipped, and on a validation split that cannot tell which epoch is best.
    """

    weights: Path
    best_epoch: int
    history: tuple[dict[str, Any], ...]
    is_main: bool = True
    notices: tuple[str, ...] = ()


def run_training(config: TrainSettings, progress: TrainProgressCallback = lambda _: None) -> TrainResult:
    """Train, validate after every epoch, and keep the weights of the best one.

    If validation finds nothing in any epoch, the weights of the last one are kept. Images that cannot be read
    are skipped, if they are few.

    Under ``torchrun`` or ``accelerate launch`` every process calls this, and the first one writes.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``, ``USAGE`` (the folder contains another run, or one of other inputs),
        ``NON_FINITE_LOSS``, ``OUT_OF_MEMORY``, ``DEPENDENCY_MISSING``, the codes of weights and text
        encoders, ``OUTPUT_FAILED``.
    """
    config.check()
    limit_memory(config.max_memory)
    dataset = _load(config)
    chosen = choose_precision(config.precision, config.device)
    config = replace(config, precision=chosen.name)
    accelerator = open_accelerator(config)
    folder, files = RunFolder(config.output, TRAINING), TrainingFiles(config.output)
    settings = config_record(config) | {"precision_reason": chosen.reason}
    record = json.loads(json.dumps(settings, sort_keys=True))
    folder.check(record, resume=config.resume, overwrite=False)
    goes_on = folder.has_record and files.state.exists()
    accelerator.wait_for_everyone()  # no process writes before all have read the folder
    report = progress if accelerator.is_main_process else lambda _: None
    report(TrainProgress("precision", 0, 0, precision=chosen))
    with clear_failures(), folder:
        session = open_session(config, dataset, accelerator, report)
        if accelerator.is_main_process:
            folder.claim(record, resume=config.resume)
        for notice in session.notices:
            report(TrainProgress("notice", 0, 0, notice=notice))
        run = _Run(session, files)
        notices = session.notices + run.begin(goes_on)
        with reported_run(config, accelerator, settings, run.steps_done):
            while run.epochs_done < config.epochs:
                run.epoch()
    if not run.has_progress and not validation_notices(session.dataset):
        notices += (NO_PROGRESS,)
        report(TrainProgress("notice", 0, 0, notice=NO_PROGRESS))
    return TrainResult(files.best, run.best_epoch, tuple(run.history), accelerator.is_main_process, notices)


def _load(config: TrainSettings) -> Dataset:
    """Return the dataset, after all checks that need no output."""
    dataset = load_dataset(config.dataset, config.data_root)
    if config.pseudo_labels is not None and config.pseudo_labels.unknown_objects:
        check_image_tower(config.text_encoder, offline=config.offline)
    require_batch(config, dataset)
    if len(dataset.novel) == len(dataset.classes):
        raise MedrovError(
            ErrorCode.DATASET_INVALID,
            f"{config.dataset}: all classes are novel",
            "Remove classes from the list 'novel'.",
        )
    return dataset


class _Run:
    """State of a run; a complete state is on disk from before the first step on."""

    def __init__(self, session: TrainingSession, files: TrainingFiles) -> None:
        self._session = session
        self._files = files
        self._inputs = identify_inputs(session.config, session.dataset)
        self._epoch = EpochState()
        self._best_fitness = -1.0
        self.epochs_done = 0
        self.best_epoch = 0
        self.history: list[dict[str, Any]] = []

    @property
    def steps_done(self) -> int:
        """Return the number of completed optimizer steps."""
        trainer, epochs = self._session.trainer, self._session.config.epochs
        return trainer.steps // epochs * self.epochs_done + self._epoch.step

    @property
    def has_progress(self) -> bool:
        """Return whether validation found anything in some epoch."""
        return self._best_fitness > 0

    @property
    def _writes(self) -> bool:
        return bool(self._session.accelerator.is_main_process)

    def begin(self, goes_on: bool) -> tuple[str, ...]:
        """Continue from the folder's state, or save the first one; return notices, which are reported.

        Raises
        ------
        MedrovError
            ``USAGE`` if the run had other inputs, or if its metrics or its best weights are missing.
        """
        if not goes_on:
            self._save()
            return ()
        facts = self._session.trainer.load(self._files.state)
        notices = require_same_inputs(facts.get("inputs"), self._inputs, self._files.path)
        for notice in notices:
            self._session.progress(TrainProgress("notice", 0, 0, notice=notice))
        self.epochs_done, self.best_epoch = facts["epochs_done"], facts["best_epoch"]
        self._best_fitness = facts["best_fitness"]
        self._epoch = EpochState(**facts["epoch"])
        self.history = self._files.read_results(self.epochs_done)
        return notices

    def epoch(self) -> None:
        """Train the rest of an epoch, validate, and record its metrics."""
        session, number = self._session, self.epochs_done
        before, started = self._epoch.seconds, time.perf_counter()

        def after_step() -> None:
            self._epoch.seconds = before + time.perf_counter() - started
            every = session.config.save_steps
            if every and self._epoch.step % every == 0:
                self._save()

        means = session.train(number, self._epoch, after_step)
        trained = time.perf_counter()
        entry = metrics_entry(number, means, session.validate(number), session.dataset)
        entry["seconds"] = {"train": self._epoch.seconds, "val": time.perf_counter() - trained}
        self.history.append(entry)
        if (
            entry["fitness"] > self._best_fitness or self._best_fitness <= 0
        ):  # else the first epoch would stay
            self.best_epoch, self._best_fitness = number + 1, entry["fitness"]
            if self._writes:
                session.save_weights(self._files.best, entry)
        self.epochs_done, self._epoch = number + 1, EpochState()
        if self._writes:
            self._files.write_metrics(self.history)
        log_numbers(session.accelerator, tracked(entry), session.trainer.step)
        epochs = session.config.epochs
        session.progress(TrainProgress("epoch", number + 1, epochs, number + 1, epochs, entry=entry))
        self._save()

    def _save(self) -> None:
        if self._writes:
            facts = {
                "epochs_done": self.epochs_done,
                "best_epoch": self.best_epoch,
                "best_fitness": self._best_fitness,
                "epoch": asdict(self._epoch),
                "inputs": self._inputs,
            }
            self._session.trainer.save(self._files.state, facts)
