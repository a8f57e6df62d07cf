"""Parts that all epochs of a run share, and their training, validation and reports."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from medrov_cli.core.base.environment import workers_for
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.truth import require_readable, with_truth
from medrov_cli.core.metrics.detection_table import ImageResult
from medrov_cli.core.metrics.source_scores import SourceScore, score_sources
from medrov_cli.core.model.checkpoint import detector_tensors
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.settings.choices import TextStart
from medrov_cli.core.settings.groups import COCO_BATCH, COCO_SELECTION
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.text.class_names import names_of_classes
from medrov_cli.core.text.embedding import embed_texts, mean_embeddings
from medrov_cli.core.text.lexicon import lexicon
from medrov_cli.core.training.assembly import build_trainer
from medrov_cli.core.training.data.iteration import iterate
from medrov_cli.core.training.data.loader import BatchSource, LoaderSettings, Share
from medrov_cli.core.training.data.prompting import ClassTexts, nearest_classes
from medrov_cli.core.training.data.store import ImageStore, readable_samples
from medrov_cli.core.training.epoch_progress import TrainProgress, TrainProgressCallback
from medrov_cli.core.training.notices import (
    class_notices,
    require_batch,
    skipped_notices,
    validation_notices,
)
from medrov_cli.core.training.results import describe
from medrov_cli.core.training.tracking import log_numbers
from medrov_cli.core.training.trainer import TERMS, Trainer
from medrov_cli.core.weights.container import EMBEDDINGS, save

CACHE_MARGIN = 1.25
"""Ratio of stored images to the model input, so that enlarged images stay sharp."""

BACKGROUND_TEXT = ""
"""Prompt of the background (YOLO-World's padding)."""


@dataclass(slots=True)
class EpochState:
    """Position in an epoch, as it is saved.

    Attributes
    ----------
    step
        Number of completed optimizer steps.
    sums
        Sums of the values of these steps, see :data:`medrov_cli.core.training.trainer.TERMS`.
    seconds
        Time of these steps.
    """

    step: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * len(TERMS))
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainingSession:
    """Parts that all epochs of a run share."""

    config: TrainSettings
    dataset: Dataset
    store: ImageStore
    texts: ClassTexts
    vocabulary: Tensor
    nearest: IntArray
    trainer: Trainer
    progress: TrainProgressCallback
    notices: tuple[str, ...]

    @property
    def accelerator(self) -> Accelerator:
        """Return device and processes."""
        return self.trainer.accelerator

    def train(self, epoch: int, state: EpochState, after_step: Callable[[], None]) -> dict[str, float]:
        """Train the rest of an epoch; return the means of the values of its steps, by name.

        Parameters
        ----------
        epoch
            0-based.
        state
            Position in the epoch, updated after each step.
        after_step
            Called after each step.
        """
        config, trainer = self.config, self.trainer
        source = self._batches(epoch)
        trainer.begin_epoch(epoch, epoch * source.steps + state.step)
        totals = torch.tensor(state.sums, dtype=torch.float64)
        parts = config.accumulate
        batches = iterate(source, self._workers(), state.step * parts)
        while step_parts := list(islice(batches, parts)):
            report = trainer.train_step(step_parts)
            totals += report
            state.step, state.sums = state.step + 1, totals.tolist()
            loss = float(report[0])
            self.progress(TrainProgress("train", state.step, source.steps, epoch + 1, config.epochs, loss))
            log_numbers(self.accelerator, {"train/loss": loss}, trainer.step)
            after_step()
        return dict(zip(TERMS, (totals / state.step).tolist(), strict=True))

    def _workers(self) -> int:
        if self.config.workers is not None:
            return self.config.workers
        return workers_for(self.accelerator.device.type, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))

    def _batches(self, epoch: int) -> BatchSource:
        config = self.config
        return BatchSource(
            self.dataset,
            self.dataset.samples["train"],
            self.store,
            self.texts,
            self.nearest,
            LoaderSettings(
                imgsz=config.imgsz,
                multi_scale=config.multi_scale,
                batch=config.batch,
                seed=config.seed,
                max_prompts=config.max_prompts,
                rectangles=config.rectangles,
                balance=config.balance,
                negatives=config.negatives,
                augmentation=config.augmentation,
            ),
            epoch,
            mosaic=epoch < config.epochs - config.close_mosaic,
            share=Share(self.accelerator.num_processes, self.accelerator.process_index, config.accumulate),
        )

    def validate(self, epoch: int) -> dict[str, SourceScore]:
        """Evaluate the moving average on the validation split, divided over the processes."""
        dataset, samples = self.dataset, self.dataset.samples["val"]
        processes, process = self.accelerator.num_processes, self.accelerator.process_index
        positions = [row for row in range(len(samples)) if row // COCO_BATCH % processes == process]
        engine = self.trainer.live_engine(self.vocabulary.to(self.accelerator.device), self.config.imgsz)
        predictor = Predictor.from_engine(engine, dataset.classes, COCO_SELECTION)
        mine: list[tuple[int, ImageResult]] = []
        with (
            predictor,
            closing(predictor.stream([samples[row] for row in positions], batch=COCO_BATCH)) as stream,
        ):
            for row, item in zip(positions, stream, strict=True):
                found = replace(require_readable(item), frame=None)  # keeps the gathered records small
                mine.append((row, with_truth(samples[row], found)))
                if row == positions[-1] or (row + 1) % COCO_BATCH == 0:
                    done = min(row // COCO_BATCH * COCO_BATCH + processes * COCO_BATCH, len(samples))
                    self.progress(TrainProgress("val", done, len(samples), epoch + 1, self.config.epochs))
        by_position: dict[int, ImageResult] = dict(gather_object(mine))
        results = [by_position[row] for row in range(len(samples))]
        sources = [(source.name, source.class_ids) for source in dataset.sources]
        return score_sources(results, [sample.source_id for sample in samples], sources, dataset.classes)

    def save_weights(self, path: Path, entry: dict[str, Any]) -> None:
        """Write the moving average as a weights file."""
        tensors = detector_tensors(self.trainer.average.model)
        tensors[EMBEDDINGS] = self.vocabulary.numpy().astype(np.float16)
        save(path, tensors, describe(self.config, self.dataset, self.texts, entry))


def open_session(
    config: TrainSettings, dataset: Dataset, accelerator: Accelerator, progress: TrainProgressCallback
) -> TrainingSession:
    """Embed the texts, read the images, build the model.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: too few images, or too many that cannot be read.
    """
    texts = ClassTexts.build(names_of_classes(dataset.classes, dataset.synonyms))
    table_texts = (*texts.texts, BACKGROUND_TEXT) if config.negatives.background else texts.texts
    table = embed_texts(table_texts, encoder=config.text_encoder, offline=config.offline)
    means = mean_embeddings(table, texts.rows)
    vocabulary = torch.from_numpy(means)
    background = torch.from_numpy(table[-1]) if config.negatives.background else None
    store = ImageStore(
        dataset.samples["train"],
        round(config.imgsz * CACHE_MARGIN),
        lambda done, total, stage: progress(TrainProgress(stage, done, total or 0)),
    )
    val, failures = readable_samples(
        dataset.samples["val"], lambda done, total, stage: progress(TrainProgress(stage, done, total or 0))
    )
    dataset = replace(dataset, samples={**dataset.samples, "train": tuple(store.samples), "val": tuple(val)})
    notices = (
        *class_notices(dataset),
        *skipped_notices("training", store.failures),
        *skipped_notices("validation", failures),
        *validation_notices(dataset),
    )
    require_batch(config, dataset, store.failures)
    samples = dataset.samples["train"]
    steps = len(samples) // config.batch * config.epochs
    start_from = vocabulary
    if config.text_start is TextStart.WHITENED:
        all_texts = sorted({text for entry in lexicon() for text in entry.texts} | set(texts.texts))
        start_from = torch.from_numpy(
            embed_texts(all_texts, encoder=config.text_encoder, offline=config.offline)
        )
    trainer = build_trainer(config, accelerator, table, start_from, background, steps, dataset.presence)
    nearest = nearest_classes(means)
    return TrainingSession(config, dataset, store, texts, vocabulary, nearest, trainer, progress, notices)
