"""Assignment of cases to train, val and test.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML 2011) over cases in place of single images:
the cases of the rarest class come first, each to the split with the largest deficit of it. Only splits with a
deficit of images receive cases, so that none exceeds its fraction by a whole case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.settings.choices import SPLITS, Split
from medrov_cli.core.settings.data_split import Shares

Case = tuple[str, str]
"""Key of images that stay together: a patient, an image without one, or a group of them."""

IMAGES = "#"
"""Key of the number of images of a case."""

SHOWS = "="
"""Prefix of class names in the keys; the prefix alone is the key of images without a box."""

_TIES: tuple[Split, ...] = ("test", "val", "train")
"""Order of splits with equal deficits."""


def assign_splits(
    images_by_class: Mapping[Case, Mapping[str, int]],
    config: Shares,
    kept: Mapping[Case, Split],
) -> dict[Case, Split]:
    """Return the split of every case.

    No split exceeds its share of the images by a whole case of the largest size.

    Parameters
    ----------
    images_by_class
        For each case the number of its images, with the key ``IMAGES``, and of its images with each class,
        with the key ``SHOWS + name``.
    kept
        Cases with a given split.
    """
    shares = {"train": 1 - config.val - config.test, "val": config.val, "test": config.test}
    table = {key: dict(own) for key, own in sorted(images_by_class.items())}
    totals: Counter[str] = Counter()
    for own in table.values():
        totals.update(own)
    if config.keep_test:
        held = sum(table[key][IMAGES] for key in kept)
        rest = totals[IMAGES] * (1 - config.val) - held
        if rest <= 0:
            raise usage_error("--val and the kept test split leave no training images", "Lower --val.")
        share = held / totals[IMAGES]
        shares = {"train": 1 - config.val - share, "val": config.val, "test": share}
    lacks = {split: Counter({name: shares[split] * n for name, n in totals.items()}) for split in SPLITS}
    dealt: dict[Case, Split] = {}
    order = list(table)
    Random(config.seed).shuffle(order)  # noqa: S311 - reproducible, not secret
    for key in order:
        if key in kept:
            _give(dealt, lacks, key, table[key], kept[key])
    open_to = [s for s in _TIES if shares[s] > 0 and not (config.keep_test and s == "test")]
    left = [key for key in order if key not in kept]
    while left:
        name = _rarest(table, left)
        mine = [key for key in left if name in table[key]]
        for key in sorted(mine, key=lambda k: -table[k][name]):
            _give(dealt, lacks, key, table[key], _neediest(lacks, open_to, name))
        left = [key for key in left if key not in dealt]
    return dealt


def _rarest(table: Mapping[Case, Mapping[str, int]], left: Sequence[Case]) -> str:
    """Return the class with the fewest cases; the number of images itself comes last."""
    shown = Counter(name for key in left for name in table[key] if name != IMAGES)
    return min(shown, key=lambda name: (shown[name], name)) if shown else IMAGES


def _neediest(lacks: Mapping[Split, Counter[str]], open_to: Sequence[Split], name: str) -> Split:
    hungry = [split for split in open_to if lacks[split][IMAGES] > 1e-6] or list(open_to)
    return max(hungry, key=lambda split: (round(lacks[split][name], 6), round(lacks[split][IMAGES], 6)))


def _give(
    dealt: dict[Case, Split],
    lacks: Mapping[Split, Counter[str]],
    key: Case,
    own: Mapping[str, int],
    split: Split,
) -> None:
    dealt[key] = split
    lacks[split].subtract(own)
