"""Settings of ``medrov data split``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import contradiction, usage_error
from medrov_cli.core.settings.data import COPIES_PANEL, CopySettings
from medrov_cli.core.settings.field import argument, group, option, option_of
from medrov_cli.core.settings.groups import OUTPUT_PANEL
from medrov_cli.core.settings.io_groups import OutputSettings

SPLITS_PANEL = "Splits"

VAL_SHARE, TEST_SHARE, SEED = 0.1, 0.2, 0
"""Default fractions of the images, and default seed."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Fractions of the splits, and seed.

    Attributes
    ----------
    val, test
        Fractions of the images, 0 to 1; the rest is for training.
    seed
        Seed of the order in which equal cases are assigned.
    keep_test
        Whether the given test split is kept: its cases stay, no case is added, and ``test`` is not used.
    """

    val: float = VAL_SHARE
    test: float = TEST_SHARE
    seed: int = SEED
    keep_test: bool = False


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """Settings of ``data split``.

    Attributes
    ----------
    source
        Source folder.
    val, test, seed
        See :class:`Shares`; null: the default.
    keep_test
        Whether the given test split is kept.
    repair
        Whether given splits are kept, and only groups in several splits are moved.
    join_copies
        Whether near-copies stay together.
    copies
        Rule of near-copies.
    output
        File to write, instead of ``annotations.json`` of the source.
    """

    source: Path = argument(metavar="SOURCE_DIR", help="Source folder (annotations.json and images/).")
    val: float | None = option(
        "--val",
        default=None,
        low=0,
        high=1,
        help=f"Fraction of images in val. Default: {VAL_SHARE}.",
        panel=SPLITS_PANEL,
    )
    test: float | None = option(
        "--test",
        default=None,
        low=0,
        high=1,
        help=f"Fraction of images in test. Default: {TEST_SHARE}.",
        panel=SPLITS_PANEL,
    )
    seed: int | None = option(
        "--seed",
        default=None,
        low=0,
        help=f"Random seed. Default: {SEED}.",
        panel=SPLITS_PANEL,
    )
    keep_test: bool = option(
        "--keep-test",
        default=False,
        help="Keep the given test split, and divide the other images; --test is ignored.",
        panel=SPLITS_PANEL,
    )
    repair: bool = option(
        "--repair",
        default=False,
        help="Keep the given splits; move only cases that are in several, to test, else to val.",
        panel=SPLITS_PANEL,
    )
    join_copies: bool = option(
        "--join-copies/--no-join-copies",
        default=True,
        help="Keep near-copies in one split, by the rule of 'data check'; this reads all images.",
        panel=COPIES_PANEL,
    )
    copies: CopySettings = group(CopySettings())
    output: Path | None = option(
        "--output",
        "-o",
        default=None,
        metavar="FILE",
        help="annotations.json to write. Default: that of the source.",
        panel=OUTPUT_PANEL,
    )
    as_json: bool = option_of(OutputSettings, "as_json")

    @property
    def shares(self) -> Shares:
        """Return the given fractions, and the defaults of the others."""
        return Shares(
            val=VAL_SHARE if self.val is None else self.val,
            test=TEST_SHARE if self.test is None else self.test,
            seed=SEED if self.seed is None else self.seed,
            keep_test=self.keep_test,
        )

    def check(self) -> None:
        """Refuse options of an assignment in a repair, and fractions that leave no training images.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        given = {"--val": self.val, "--test": self.test, "--seed": self.seed}
        flags = [flag for flag, value in given.items() if value is not None]
        if self.repair and (flags or self.keep_test):
            raise usage_error(
                f"{contradiction((*flags, '--keep-test')[0], '--repair')}: --repair keeps the given splits",
                "Give one of them.",
            )
        shares = self.shares
        if not (shares.val >= 0 and shares.test >= 0 and shares.val + shares.test < 1):
            raise usage_error(
                "--val and --test leave no training images", "Give fractions with a sum below 1."
            )
