"""Train a detector on many sources at once: the procedure behind ``medrov train``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medrov_cli.core.data.dataset import Dataset, load_dataset
from medrov_cli.core.data.loader import BatchSource, LoaderConfig, iterate
from medrov_cli.core.data.prompting import ClassTexts
from medrov_cli.core.data.store import ImageStore
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.evaluation.validation import SourceScore, evaluate
from medrov_cli.core.model.checkpoint import detector_tensors
from medrov_cli.core.runtime.interface import check_imgsz
from medrov_cli.core.text.embedding import embed_texts, mean_embeddings
from medrov_cli.core.text.synonyms import synonyms_of
from medrov_cli.core.training.config import Progress, TrainConfig, TrainProgress, settings_of
from medrov_cli.core.training.folder import RunFolder
from medrov_cli.core.training.results import describe, metrics_entry
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
    dataset = _load(config)
    folder = RunFolder(config.output)
    goes_on = folder.can_go_on(settings_of(config), resume=config.resume)
    session = _open_session(config, dataset, progress)
    folder.write_settings(settings_of(config))
    facts: dict[str, Any] = {"epochs_done": 0, "best_epoch": 0, "best_fitness": -1.0}
    if goes_on:
        facts = session.trainer.load(folder.state)
    history = folder.read_metrics(facts["epochs_done"])
    for epoch in range(facts["epochs_done"], config.epochs):
        started = time.perf_counter()
        losses = session.train(epoch)
        trained = time.perf_counter()
        entry = metrics_entry(epoch, losses, session.validate(epoch))
        entry["seconds"] = {"train": trained - started, "val": time.perf_counter() - trained}
        history.append(entry)
        if entry["fitness"] > facts["best_fitness"]:
            facts |= {"best_epoch": epoch + 1, "best_fitness": entry["fitness"]}
            session.save_weights(folder.best, entry)
        facts["epochs_done"] = epoch + 1
        folder.write_metrics(history)
        session.trainer.save(folder.state, facts)
    return TrainResult(folder.best, facts["best_epoch"], tuple(history))


def _load(config: TrainConfig) -> Dataset:
    """Return the dataset, having checked what can be checked before anything is written."""
    check_imgsz(config.imgsz)
    dataset = load_dataset(config.dataset, config.data_root)
    count = len(dataset.samples["train"])
    if count < config.batch:
        raise MedrovError(
            ErrorCode.DATASET_INVALID,
            f"{config.dataset} has {count} training images, fewer than one batch of {config.batch}",
            "Lower --batch, or add images.",
        )
    return dataset


@dataclass(frozen=True, slots=True)
class _Session:
    """What all epochs of a run share."""

    config: TrainConfig
    dataset: Dataset
    store: ImageStore
    texts: ClassTexts
    vocabulary: Tensor
    trainer: Trainer
    progress: Progress

    def train(self, epoch: int) -> Tensor:
        """Train one epoch; return the mean loss terms (total, box, text, distribution)."""
        config, trainer = self.config, self.trainer
        loader = LoaderConfig(
            imgsz=config.imgsz,
            multi_scale=config.multi_scale,
            batch=config.batch,
            seed=config.seed,
            balance=config.balance,
            max_prompts=config.max_prompts,
            augmentation=config.augmentation,
        )
        mosaic = epoch < config.epochs - config.close_mosaic
        samples = self.dataset.samples["train"]
        source = BatchSource(self.dataset, samples, self.store, self.texts, loader, epoch, mosaic=mosaic)
        steps = len(source)
        trainer.step = epoch * steps
        trainer.model.train()
        total = torch.zeros(4)
        for done, batch in enumerate(iterate(source, config.workers), start=1):
            terms = trainer.train_step(batch).cpu()
            total += terms
            self.progress(TrainProgress("train", done, steps, epoch + 1, config.epochs, float(terms[0])))
        return total / steps

    def validate(self, epoch: int) -> dict[str, SourceScore]:
        """Score the moving average on the validation split."""

        def report(done: int, total: int) -> None:
            self.progress(TrainProgress("val", done, total, epoch + 1, self.config.epochs))

        predict = self.trainer.predict(self.vocabulary.to(self.trainer.accelerator.device))
        return evaluate(predict, self.dataset, "val", self.config.imgsz, progress=report)

    def save_weights(self, path: Path, entry: dict[str, Any]) -> None:
        """Write the moving average as a weights file."""
        tensors = detector_tensors(self.trainer.average.model)
        tensors[EMBEDDINGS] = self.vocabulary.numpy().astype(np.float16)
        save(path, tensors, describe(self.config, self.dataset, self.texts, entry))


def _open_session(config: TrainConfig, dataset: Dataset, progress: Progress) -> _Session:
    """Embed the texts, read the images, build the model."""
    texts = ClassTexts.build(dataset.classes, _all_synonyms(dataset))
    table = embed_texts(texts.texts, encoder=config.text_encoder, offline=config.offline)
    vocabulary = torch.from_numpy(mean_embeddings(table, texts.rows))
    samples = dataset.samples["train"]
    store = ImageStore(
        samples,
        round(config.imgsz * CACHE_MARGIN),
        lambda done, total: progress(TrainProgress("read", done, total)),
    )
    trainer = build_trainer(config, table, vocabulary, len(samples) // config.batch)
    return _Session(config, dataset, store, texts, vocabulary, trainer, progress)


def _all_synonyms(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Return the yaml's synonyms, and the lexicon's where the yaml gives none."""
    return {name: dataset.synonyms.get(name) or synonyms_of(name) for name in dataset.classes}
