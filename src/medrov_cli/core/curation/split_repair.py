"""Mend splits that leak: whatever stands in several goes wholly into one, and all else stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medrov_cli.core.curation.issues import Code
from medrov_cli.core.curation.split_assignment import Case
from medrov_cli.core.settings.choices import Split

_STRONGEST: tuple[Split, ...] = ("test", "val", "train")
"""What has been measured on must never be trained on; nothing leaves the test split."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An image whose split has changed.

    Attributes
    ----------
    file_name
        Below ``images/``.
    before, after
        Its splits.
    reason
        ``case_in_two_splits``: its own case was there already; ``near_duplicate``: a near-copy was.
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
    """Return the new split of each image: that of its group that must be guarded most.

    Parameters
    ----------
    groups
        Of each image, what must stay together.
    splits
        Of each image, as they are.
    """
    strongest: dict[Case, Split] = {}
    for group, split in zip(groups, splits, strict=True):
        strongest[group] = min(split, strongest.get(group, split), key=_STRONGEST.index)
    return [strongest[group] for group in groups]


def movements(
    names: Sequence[str], cases: Sequence[Case], before: Sequence[Split], after: Sequence[Split]
) -> tuple[Moved, ...]:
    """Return the images whose split changes, in their order, each with the reason."""
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
