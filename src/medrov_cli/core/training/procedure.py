"""Train a detector on many sources at once: the procedure behind ``medrov train``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medrov_cli.core.data.dataset import Dataset, load_dataset
from medrov_cli.core.data.loader import GRID, Batch, BatchSource, LoaderConfig, iterate
from medrov_cli.core.data.prompting import ClassTexts
from medrov_cli.core.data.store import ImageStore
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.evaluation import SourceScore, evaluate
from medrov_cli.core.model.checkpoint import detector_tensors
from medrov_cli.core.text.embedding import embed_texts
from medrov_cli.core.text.synonyms import synonyms_of
from medrov_cli.core.training.config import Progress, TrainConfig, TrainProgress, settings_of
from medrov_cli.core.training.folder import RunFolder
from medrov_cli.core.training.results import class_embeddings, describe, metrics_entry
from medrov_cli.core.training.trainer import Trainer, build_trainer
from medrov_cli.core.weights import EMBEDDINGS, save

CACHE_MARGIN = 1.25
"""Images are kept this much larger than the model's input, so that zooming in stays sharp."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a finished run has to show.

    Attributes
    ----------
    weights
        The weights of the best epoch.
    best_epoch
        1-based.
    history
        One entry an epoch, as in ``metrics.jsonl``.
    """

    weights: Path
    best_epoch: int
    history: tuple[dict[str, Any], ...]


def run_training(config: TrainConfig, progress: Progress = lambda _: None) -> TrainResult:
    """Train, validate every epoch, and keep the weights of the best one.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``, ``USAGE`` (the folder holds another run), ``NON_FINITE_LOSS``, the
        codes of weights and text encoders, ``OUTPUT_FAILED``.
    """
    if config.imgsz % GRID:
        raise MedrovError(
            ErrorCode.USAGE,
            f"--imgsz {config.imgsz} is not a multiple of {GRID}",
            "Try 320, 352, 416 or 640.",
        )
    folder = RunFolder(config.output)
    dataset = load_dataset(config.dataset, config.data_root)
    samples = dataset.samples["train"]
    if len(samples) < config.batch:
        raise MedrovError(
            ErrorCode.DATASET_INVALID,
            f"{config.dataset} has {len(samples)} training images, fewer than one batch of {config.batch}",
            "Lower --batch, or add images.",
        )
    goes_on = folder.open(settings_of(config), resume=config.resume)
    texts = ClassTexts.build(dataset.classes, _all_synonyms(dataset))
    table = embed_texts(texts.texts, encoder=config.text_encoder, offline=config.offline)
    vocabulary = class_embeddings(table, texts)

    def reading(done: int, total: int) -> None:
        progress(TrainProgress("read", done, total))

    store = ImageStore(samples, round(config.imgsz * CACHE_MARGIN), reading)
    trainer = build_trainer(config, table, vocabulary, len(samples) // config.batch)
    facts: dict[str, Any] = {"epochs_done": 0, "best_epoch": 0, "best_fitness": -1.0}
    if goes_on:
        facts = trainer.load(folder.state)
    history = folder.read_metrics(facts["epochs_done"])
    loader = LoaderConfig(
        config.imgsz,
        config.multi_scale,
        config.batch,
        config.seed,
        config.balance,
        config.max_prompts,
        config.augmentation,
    )
    for epoch in range(facts["epochs_done"], config.epochs):
        started = time.perf_counter()
        source = BatchSource(
            dataset, samples, store, texts, loader, epoch, mosaic=epoch < config.epochs - config.close_mosaic
        )
        trainer.step = epoch * len(source)
        losses = _train_epoch(trainer, iterate(source, config.workers), len(source), epoch, config, progress)
        trained = time.perf_counter()
        scores = _validate(trainer, vocabulary, dataset, config, epoch, progress)
        entry = metrics_entry(epoch, losses, scores)
        entry["seconds"] = {"train": trained - started, "val": time.perf_counter() - trained}
        history.append(entry)
        if entry["fitness"] > facts["best_fitness"]:
            facts |= {"best_epoch": epoch + 1, "best_fitness": entry["fitness"]}
            metadata = describe(config, dataset, texts, entry)
            tensors = detector_tensors(trainer.average.model)
            save(folder.best, {**tensors, EMBEDDINGS: vocabulary.numpy().astype(np.float16)}, metadata)
        facts["epochs_done"] = epoch + 1
        folder.write_metrics(history)
        trainer.save(folder.state, facts)
    return TrainResult(folder.best, facts["best_epoch"], tuple(history))


def _train_epoch(
    trainer: Trainer,
    batches: Iterable[Batch],
    steps: int,
    epoch: int,
    config: TrainConfig,
    progress: Progress,
) -> Tensor:
    """Return the mean loss terms of an epoch."""
    trainer.model.train()
    total = torch.zeros(4)
    for done, batch in enumerate(batches, start=1):
        terms = trainer.train_step(batch).cpu()
        total += terms
        progress(TrainProgress("train", done, steps, epoch + 1, config.epochs, float(terms[0])))
    return total / steps


def _validate(
    trainer: Trainer,
    vocabulary: Tensor,
    dataset: Dataset,
    config: TrainConfig,
    epoch: int,
    progress: Progress,
) -> dict[str, SourceScore]:
    def report(done: int, total: int) -> None:
        progress(TrainProgress("val", done, total, epoch + 1, config.epochs))

    predict = trainer.predict(vocabulary.to(trainer.accelerator.device))
    return evaluate(predict, dataset, "val", config.imgsz, progress=report)


def _all_synonyms(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Return the yaml's synonyms, and the lexicon's where the yaml gives none."""
    return {name: dataset.synonyms.get(name) or synonyms_of(name) for name in dataset.classes}
