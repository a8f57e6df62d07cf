"""Groups of cases of a source that contain near-copies of each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.curation.duplicates import near_pairs
from medrov_cli.core.curation.fingerprints import Fingerprint, fingerprints
from medrov_cli.core.curation.issues import Code
from medrov_cli.core.curation.split_assignment import Case
from medrov_cli.core.datasets.source_set import OpenSource
from medrov_cli.core.settings.data import CopySettings

_SLACK = 1e-4
"""Margin of the correlation: ``check`` sums in another order, so that its pairs at the limit are found here,
too."""

Failure = tuple[str, MedrovError]
"""File of an image, and the reason why it was not compared."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Groups of cases.

    Attributes
    ----------
    groups
        Group of each image; images of one group stay in one split.
    pairs
        Number of near-copies between different cases.
    failures
        Images that could not be read; they stay with their case, and are not compared.
    """

    groups: tuple[Case, ...]
    pairs: int
    failures: tuple[Failure, ...]


def join_near_copies(
    source: OpenSource, cases: Sequence[Case], rule: CopySettings, progress: Progress = no_progress
) -> Joined:
    """Read all images of a source, and group cases that contain near-copies of each other.

    Parameters
    ----------
    cases
        Case of each image.

    Raises
    ------
    MedrovError
        ``NO_INPUT`` if no image can be read.
    """
    files = [(source.path_of(i), (i.height, i.width)) for i in source.images]
    prints = fingerprints(files, rule.threads, progress)
    failures = tuple(
        (source.where(image), _error(one))
        for image, one in zip(source.images, prints, strict=True)
        if one.thumbnail is None
    )
    rows = [row for row, one in enumerate(prints) if one.thumbnail is not None]
    if not rows:
        if not files:
            return Joined((), 0, ())
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"no image of {source.name} can be read, for example {failures[0][0]}",
            "Put the images at the paths of annotations.json, or use --no-join-copies.",
        )
    pairs = near_pairs(
        np.stack([one.thumbnail for one in prints if one.thumbnail is not None]),
        np.asarray([prints[row].phash for row in rows], dtype=np.uint64),
        rule.max_hamming,
        rule.min_correlation - _SLACK,
    )
    crossing = [
        (rows[pair.first], rows[pair.second])
        for pair in pairs
        if cases[rows[pair.first]] != cases[rows[pair.second]]
    ]
    return Joined(tuple(join(cases, crossing)), len(crossing), failures)


def join(cases: Sequence[Case], pairs: Iterable[tuple[int, int]]) -> list[Case]:
    """Return the group of each image: the first case of the connected cases in order of their names.

    Parameters
    ----------
    cases
        Case of each image.
    pairs
        Rows of two images of one group.
    """
    above = {case: case for case in cases}

    def root(case: Case) -> Case:
        while above[case] != case:
            above[case] = above[above[case]]
            case = above[case]
        return case

    for one, other in pairs:
        first, second = sorted((root(cases[one]), root(cases[other])))
        above[second] = first
    return [root(case) for case in cases]


def _error(one: Fingerprint) -> MedrovError:
    code, message = one.problem or (Code.FILE_UNREADABLE, "it cannot be read")
    reason = ErrorCode.NOT_FOUND if code is Code.FILE_MISSING else ErrorCode.UNREADABLE
    return MedrovError(
        reason,
        f"{message}: it was not compared with other images",
        "Replace the file, and run the command again.",
    )
