"""Facts about a dataset that a training run reports before its first step."""

from __future__ import annotations

from collections.abc import Sequence

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.class_rules import names_apart_by_case
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.settings.train import TrainSettings

NO_PROGRESS = "No epoch found a box of the validation split: the weights of the last epoch were kept."

_NAMED_FILES = 10


def skipped_notices(split: str, failures: Sequence[MedrovError]) -> tuple[str, ...]:
    """Return one sentence on the images of a split that cannot be read, and their errors."""
    if not failures:
        return ()
    named = [error.message for error in failures[:_NAMED_FILES]]
    return (f"Unreadable {split} images, which were skipped: {len(failures)}.", *named)


def class_notices(dataset: Dataset) -> tuple[str, ...]:
    """Return one sentence for each group of classes whose names differ by case and separators only."""
    return tuple(
        f"Names that differ only in case or separators are different classes: {', '.join(map(repr, group))}."
        for group in names_apart_by_case(dataset.classes)
    )


def validation_notices(dataset: Dataset) -> tuple[str, ...]:
    """Return a sentence if the validation split cannot tell which epoch is best; empty otherwise."""
    samples = dataset.samples["val"]
    novel = set(dataset.novel)
    if any(label not in novel for sample in samples for label in sample.labels.tolist()):
        return ()
    what = "has no box of a base class" if samples else "is empty"
    return (f"The validation split {what}: the weights of the last epoch are kept.",)


def require_batch(config: TrainSettings, dataset: Dataset, failures: Sequence[MedrovError] = ()) -> None:
    """Check that the training images are enough for one batch, without those that cannot be read.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``.
    """
    count = len(dataset.samples["train"])
    if count < config.batch:
        skipped = f"; {len(failures)} cannot be read: {failures[0].message}" if failures else ""
        raise MedrovError(
            ErrorCode.DATASET_INVALID,
            f"{config.dataset} has {count} training images, fewer than one batch of {config.batch}{skipped}",
            "Lower --batch, or add images.",
        )
