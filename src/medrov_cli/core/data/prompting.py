"""Which texts a training sample is asked for: its classes, other classes, and under which name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.boxes import IntArray

FULL_VOCABULARY_SHARE = 0.6
"""Share of batches that are asked for every class: what ``detect`` does without ``--classes``.
The others get a random number of negatives, since users name few classes, and the neck's
features depend on all texts that are asked for."""


@dataclass(frozen=True, slots=True)
class ClassTexts:
    """The texts of every class, as rows of one table.

    Attributes
    ----------
    texts
        Every text once.
    rows
        For each class the rows of its texts: the class name first, then its synonyms.
    """

    texts: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]

    @classmethod
    def build(cls, classes: Sequence[str], synonyms: Mapping[str, Sequence[str]]) -> ClassTexts:
        """Return the texts of ``classes``; a name with slashes counts as synonyms too."""
        row_of: dict[str, int] = {}
        rows = []
        for name in classes:
            parts = [part.strip() for part in name.split("/")]
            texts = dict.fromkeys([*parts, *synonyms.get(name, ())])
            rows.append(tuple(row_of.setdefault(text, len(row_of)) for text in texts))
        return cls(tuple(row_of), tuple(rows))


def choose_prompts(
    positives: Sequence[IntArray], class_count: int, max_prompts: int, rng: np.random.Generator
) -> list[IntArray]:
    """Return the classes that each sample of a batch is asked for, equally many for all.

    Parameters
    ----------
    positives
        The labels of each sample, int64, (n,), repeats allowed.
    class_count
        Number of classes of the dataset: what is not positive may be a negative.
    max_prompts
        The paper's cap is 80. A sample with more classes than this keeps all of them.
    rng
        Source of chance.
    """
    present = [np.unique(labels) for labels in positives]
    most = max((len(labels) for labels in present), default=0)
    upper = max(min(class_count, max_prompts), most, 1)
    count = upper if rng.random() < FULL_VOCABULARY_SHARE else int(rng.integers(max(most, 1), upper + 1))
    chosen = []
    for labels in present:
        others = np.setdiff1d(np.arange(class_count), labels)
        negatives = rng.permutation(others)[: count - len(labels)]
        chosen.append(rng.permutation(np.concatenate((labels, negatives))))
    return chosen


def draw_texts(class_rows: IntArray, texts: ClassTexts, rng: np.random.Generator) -> IntArray:
    """Return one text row for each class: its name half the time, else any of its texts, (t,)."""
    drawn = []
    for class_id in class_rows:
        rows = texts.rows[class_id]
        drawn.append(rows[0] if rng.random() < 0.5 else rows[rng.integers(len(rows))])
    return np.asarray(drawn, dtype=np.int64)
