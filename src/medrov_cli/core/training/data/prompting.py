"""Prompts of a training sample: its classes, negative classes, and the text of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.train_groups import NegativeSettings

FULL_VOCABULARY_SHARE = 0.6
"""Fraction of batches that prompt all classes, as ``detect`` does without ``--classes``.
The others have a random number of negatives, since users name few classes, and the neck's features depend on
all prompts."""


HARD_PER_POSITIVE = 3
"""Number of hard negatives of a class: the classes with the nearest texts."""


@dataclass(frozen=True, slots=True)
class ClassTexts:
    """Texts of all classes, as rows of one table.

    Attributes
    ----------
    texts
        Distinct texts.
    rows
        Rows of the texts of each class: first the class name, then its synonyms.
    """

    texts: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]

    @classmethod
    def build(cls, names: Sequence[Sequence[str]]) -> ClassTexts:
        """Return the table of the names of each class."""
        row_of: dict[str, int] = {}
        rows = [tuple(row_of.setdefault(text, len(row_of)) for text in texts) for texts in names]
        return cls(tuple(row_of), tuple(rows))


def nearest_classes(embeddings: Float32Array, count: int = HARD_PER_POSITIVE) -> IntArray:
    """Return the classes with the most similar texts to each class, nearest first.

    Parameters
    ----------
    embeddings
        float32, (classes, width), L2 norm 1.
    count
        Columns of the result; fewer if there are fewer other classes.
    """
    likeness = embeddings @ embeddings.T
    np.fill_diagonal(likeness, -np.inf)
    return np.argsort(-likeness, axis=1, kind="stable")[:, : min(count, len(embeddings) - 1)]


def draw_prompt_count(class_count: int, max_prompts: int, rng: np.random.Generator) -> int:
    """Return the number of prompts per sample of a batch; samples with more classes have more."""
    most = min(class_count, max_prompts)
    return most if rng.random() < FULL_VOCABULARY_SHARE else int(rng.integers(1, most + 1))


def sample_prompts(
    labels: IntArray,
    candidates: IntArray,
    count: int,
    negatives: NegativeSettings,
    nearest: IntArray,
    rng: np.random.Generator,
) -> IntArray:
    """Return the prompted classes of a sample, in random order, at least one.

    Parameters
    ----------
    labels
        Labels of the sample, int64, (n,), with repeats; all of them are prompted.
    candidates
        Classes that may be prompted.
    count
        Number of classes up to which negatives are added.
    negatives
        Settings of the negatives.
    nearest
        See :func:`nearest_classes`.
    rng
        Random generator of this sample.
    """
    chosen = np.unique(labels)
    if negatives.hard and len(chosen):
        near = np.setdiff1d(np.intersect1d(nearest[chosen], candidates), chosen)
        chosen = np.concatenate((chosen, rng.permutation(near)[: max(count - len(chosen), 0)]))
    if negatives.random:
        others = np.setdiff1d(candidates, chosen)
        chosen = np.concatenate((chosen, rng.permutation(others)[: max(count - len(chosen), 0)]))
    if not len(chosen):
        chosen = rng.choice(candidates, 1)
    return rng.permutation(chosen).astype(np.int64)


def draw_texts(class_rows: IntArray, texts: ClassTexts, rng: np.random.Generator) -> IntArray:
    """Return one text row for each class, (t,): its name with probability 0.5, else one of its texts."""
    drawn = []
    for class_id in class_rows:
        rows = texts.rows[class_id]
        drawn.append(rows[0] if rng.random() < 0.5 else rows[rng.integers(len(rows))])
    return np.asarray(drawn, dtype=np.int64)
