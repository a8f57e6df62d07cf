"""Repair of splits: a group of images in several splits moves to one of them, and the rest stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medrov_cli.core.curation.issues import Code
from medrov_cli.core.curation.split_assignment import Case
from medrov_cli.core.settings.choices import Split

_STRONGEST: tuple[Split, ...] = ("test", "val", "train")
"""Priority of splits in a repair: no image leaves the test split, as evaluated images must not be trained
on."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Image with a changed split.

    Attributes
    ----------
    file_name
        Path below ``images/``.
    before, after
        Its splits before and after the repair.
    reason
        ``case_in_two_splits`` if its case is in the new split already; ``near_duplicate`` if a near-copy is.
    """

    file_name: str
    before: Split
    after: Split
    reason: Code

    def as_dict(self) -> dict[str, str]:
        """Return the record of a JSON document."""
        return {
            "file_name": self.file_name,
            "from": self.before,
            "to": self.after,
            "reason": self.reason.value,
        }


def repaired(groups: Sequence[Case], splits: Sequence[Split]) -> list[Split]:
    """Return the new split of each image: the split of its group with the highest priority.

    Parameters
    ----------
    groups
        Group of each image.
    splits
        Current split of each image.
    """
    strongest: dict[Case, Split] = {}
    for group, split in zip(groups, splits, strict=True):
        strongest[group] = min(split, strongest.get(group, split), key=_STRONGEST.index)
    return [strongest[group] for group in groups]


def movements(
    names: Sequence[str], cases: Sequence[Case], before: Sequence[Split], after: Sequence[Split]
) -> tuple[Moved, ...]:
    """Return the images with changed splits, in their order, each with the reason."""
    already = set(zip(cases, before, strict=True))
    return tuple(
        Moved(
            name,
            old,
            new,
            Code.CASE_IN_TWO_SPLITS if (case, new) in already else Code.NEAR_DUPLICATE,
        )
        for name, case, old, new in zip(names, cases, before, after, strict=True)
        if old != new
    )
