"""Options of ``train`` that have an effect only together with another one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from medrov_cli.core.base.errors import requires
from medrov_cli.core.settings.choices import Balance, Part, TextStart
from medrov_cli.core.settings.field import given_flags
from medrov_cli.core.settings.train_groups import BalanceSettings

if TYPE_CHECKING:
    from medrov_cli.core.settings.train import TrainSettings

_PSEUDO_LABELS = ("--pseudo-labels", "Add --pseudo-labels.")


def require_effects(settings: TrainSettings) -> None:
    """Refuse an option without effect; with a preset only unknown objects without pseudo-labels.

    Another option on the command line may leave values of a preset without effect.

    Raises
    ------
    MedrovError
        ``USAGE``, naming the option.
    """
    if settings.pseudo_rules.unknown_objects and not settings.uses_pseudo_labels:
        raise requires("--unknown-objects", *_PSEUDO_LABELS)
    if settings.preset is None:
        for flags, *missing in _idle_options(settings):
            if flags:
                raise requires(flags[0], *missing)


def _idle_options(settings: TrainSettings) -> Iterator[tuple[list[str], str, str]]:
    """Yield given options without effect, the option that they need, and a hint."""
    if not settings.uses_pseudo_labels:
        yield given_flags(settings.pseudo_rules), *_PSEUDO_LABELS
    if settings.distiller.weights is None:
        yield given_flags(settings.distiller), "--distill", "Add --distill with the weights of the teacher."
    if settings.balance.by is Balance.OFF:
        off = BalanceSettings(by=Balance.OFF)
        yield given_flags(settings.balance, off), "--balance", "Leave --balance off out."
    if not settings.text_adapter:
        frozen = ["--freeze text"] if Part.TEXT in settings.freeze else []
        start = ["--text-start"] if settings.text_start is not TextStart.CENTRED else []
        yield [*frozen, *start], "--text-adapter", "Leave --no-text-adapter out."
