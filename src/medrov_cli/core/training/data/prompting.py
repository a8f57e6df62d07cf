"""Prompts of a training sample: its classes, negative classes, and the text of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from medrov_cli.core.records.boxes import BoolArray, IntArray
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.train_groups import NegativeSettings

FULL_VOCABULARY_SHARE = 0.6
"""Fraction of batches that prompt all classes, as ``detect`` does without ``--classes``.
The others have a random number of negatives, since users name few classes, and the neck's features depend on
all prompts."""


HARD_PER_POSITIVE = 3
"""Number of hard negatives of a class: the classes with the nearest texts."""


@dataclass(frozen=True)
class ClassTexts:
    """Texts of all classes, as rows of one table.

    Attributes
    ----------
    texts
        Distinct texts.
    rows
        Rows of the texts of each class: first the class name, then its synonyms.
    broader
        Rows of the broader names of each class, "tumor" for "brain tumor".
    """

    texts: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    broader: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def build(
        cls,
        classes: Sequence[str],
        synonyms: Mapping[str, Sequence[str]],
        broader: Mapping[str, Sequence[str]] | None = None,
    ) -> ClassTexts:
        """Return the texts of ``classes``; the parts of a name with slashes are synonyms."""
        row_of: dict[str, int] = {}
        rows = []
        for name in classes:
            parts = [part.strip() for part in name.split("/")]
            texts = dict.fromkeys([*parts, *synonyms.get(name, ())])
            rows.append(tuple(row_of.setdefault(text, len(row_of)) for text in texts))
        names = broader or {}
        above = [
            tuple(row_of.setdefault(text, len(row_of)) for text in names.get(name, ())) for name in classes
        ]
        return cls(tuple(row_of), tuple(rows), tuple(above))

    @cached_property
    def covered(self) -> dict[int, IntArray]:
        """Return the classes of each broader name by its row: those below it, and those that it names."""
        wanted = {row for rows in self.broader for row in rows}
        found: dict[int, list[int]] = {row: [] for row in wanted}
        for class_id, (own, above) in enumerate(zip(self.rows, self.broader, strict=True)):
            for row in wanted.intersection((*own, *above)):
                found[row].append(class_id)
        return {row: np.asarray(classes, dtype=np.int64) for row, classes in found.items()}


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


class Prompts(NamedTuple):
    """Prompts of a sample.

    Attributes
    ----------
    classes, text_rows
        int64, (t,): the prompted classes, each once, and the text of each.
    ignored
        bool, (t,): classes that are not negatives in the sample.
    labels
        int64, (n,): class of each box, one of ``classes``.
    """

    classes: IntArray
    text_rows: IntArray
    ignored: BoolArray
    labels: IntArray


def broaden(
    prompts: Prompts,
    texts: ClassTexts,
    share: float,
    unsure: BoolArray,
    hidden: IntArray,
    rng: np.random.Generator,
) -> Prompts:
    """Replace the texts of some classes by broader names; classes with boxes below one become one prompt.

    A broader name is drawn only if all boxes below it are known: not below a class without boxes while
    another class below the name has some.

    Parameters
    ----------
    prompts
        Prompts by the own names of the classes.
    texts
        Texts, with broader names.
    share
        Fraction of the prompts.
    unsure
        bool, (classes,): classes that the sample may show without boxes.
    hidden
        Classes of boxes that the training does not use.
    rng
        Random generator of the sample.
    """
    classes, labels = prompts.classes, prompts.labels.copy()
    rows, ignored = prompts.text_rows.copy(), prompts.ignored.copy()
    kept = np.ones(len(classes), dtype=np.bool_)
    column_of = {int(class_id): column for column, class_id in enumerate(classes)}
    touched, used = set[int](), set[int]()
    for column in np.flatnonzero(rng.random(len(classes)) < share):
        class_id = int(classes[column])
        above = [row for row in texts.broader[class_id] if row not in used]
        if not above or class_id in touched:
            continue
        row = above[rng.integers(len(above))]
        covered = texts.covered[row]
        shown = set(np.intersect1d(covered, prompts.labels).tolist())
        if (shown and class_id not in shown) or shown & touched or np.isin(hidden, covered).any():
            continue
        touched |= {class_id, *shown}
        used.add(row)
        for other in shown - {class_id}:
            kept[column_of[other]] = False
            labels[labels == other] = class_id
        if shown:
            ignored |= rows == row  # the same name of a class without boxes would be a negative
        rows[column] = row
        ignored[column] = unsure[covered].any()
    return Prompts(classes[kept], rows[kept], ignored[kept], labels)
