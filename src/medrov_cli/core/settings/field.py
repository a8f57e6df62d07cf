"""Options as fields of frozen dataclasses.

A field of :func:`option` or :func:`argument` contains all properties of one option of a command: flags, help,
range, heading of the help, default, the source of the default, and whether it changes a result. A field of
:func:`group` contains a settings class that several commands share; :func:`option_of` copies a single option
of another class. ``commands/signature.py`` reads the fields.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from enum import Enum
from numbers import Integral, Real
from typing import Any

from medrov_cli.core.base.errors import out_of_range, usage_error

_KEY = "medrov"
_BASES: Mapping[type, type] = {int: Integral, float: Real, str: str}
"""Classes whose objects are values of a type; those of numpy are numbers, too."""


@dataclass(frozen=True, slots=True)
class OptionField:
    """Option or argument, without its type and default.

    Attributes
    ----------
    flags
        Names on the command line, such as ``("--output", "-o")``; empty for an argument.
    help
        One line of ``--help``.
    panel
        Heading of the option in ``--help``; empty for an argument.
    metavar
        Placeholder of the value in ``--help``; null: from the type.
    low, high
        Range of a number, both ends included; null: unlimited.
    choices
        Accepted texts, in the order of ``--help``; empty: those of the type.
    given
        Type on the command line; null: the type of the field.
    parse
        Function of a given value that is not None to the value of the field.
    given_default
        Default on the command line, if its form differs from that of the field.
    shows_default
        Whether ``--help`` shows the default; otherwise ``help`` states it.
    before
        Flag of the next option in ``--help``; empty: the order of the fields.
    source
        Source of the default: a paper, another program, a measurement.
    affects_result
        Whether ``run.json`` or the report contains it.
    is_always_recorded
        Whether that record contains the default, too.
    key
        Key in that record; empty: the name of the field.
    recorded
        Attribute of the settings that is recorded instead; empty: the field itself.
    """

    flags: tuple[str, ...] = ()
    help: str = ""
    panel: str | None = None
    metavar: str | None = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    given: Any = None
    parse: Callable[[Any], Any] | None = None
    given_default: Any = None
    shows_default: bool = True
    before: str = ""
    source: str = ""
    affects_result: bool = False
    is_always_recorded: bool = True
    key: str = ""
    recorded: str = ""


@dataclass(frozen=True, slots=True)
class GroupField:
    """Group of options inside a settings class.

    Attributes
    ----------
    omit
        Fields of the group without an option of the command; they keep their default.
    help, metavar
        Replacements of those of the group, by field.
    panel
        Replacement of the headings of the group.
    key, recorded
        See :class:`OptionField`.
    """

    omit: tuple[str, ...] = ()
    help: Mapping[str, str] = dataclasses.field(default_factory=dict)
    metavar: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    panel: str | None = None
    key: str = ""
    recorded: str = ""

    def adapt(self, name: str, spec: OptionField) -> OptionField:
        """Return an option of the group with the changes of this command."""
        return replace(
            spec,
            help=self.help.get(name, spec.help),
            metavar=self.metavar.get(name, spec.metavar),
            panel=self.panel or spec.panel,
        )


def option(*flags: str, default: Any = MISSING, **parts: Any) -> Any:
    """Return a field that is an option of a command.

    Parameters
    ----------
    flags
        Flags such as ``"--output", "-o"``.
    default
        Value of the field; without one the option is required. Where ``given_default`` is stated
        the default is that text, parsed.
    parts
        Attributes of :class:`OptionField`.
    """
    return _field(OptionField(flags=flags, **parts), default)


def argument(*, default: Any = MISSING, **parts: Any) -> Any:
    """Return a field that is an argument of a command; see :func:`option`."""
    return _field(OptionField(**parts), default)


def group(
    of: Any,
    *,
    omit: Sequence[str] = (),
    help: Mapping[str, str] | None = None,  # noqa: A002 - named as in the options
    metavar: Mapping[str, str | None] | None = None,
    panel: str | None = None,
    key: str = "",
    recorded: str = "",
) -> Any:
    """Return a field that is a group of options.

    Parameters
    ----------
    of
        Default of the group with the defaults of this command, or its class, if it has options without a
        default.
    omit, help, metavar, panel, key, recorded
        See :class:`GroupField`.
    """
    spec = GroupField(tuple(omit), dict(help or {}), dict(metavar or {}), panel, key, recorded)
    return field(default=MISSING if isinstance(of, type) else of, metadata={_KEY: spec})


def option_of(settings: type, name: str, *, default: Any = ..., **changes: Any) -> Any:
    """Return a field that is the option ``name`` of another settings class, with ``changes``."""
    own = next(own for own in fields(settings) if own.name == name)
    spec = spec_of(own)
    if not isinstance(spec, OptionField):
        raise TypeError(f"{settings.__name__}.{name} is no option")
    return _field(replace(spec, **{"before": "", **changes}), own.default if default is ... else default)


def spec_of(own: dataclasses.Field[Any]) -> OptionField | GroupField | None:
    """Return the specification of a field of a settings class; null for neither an option nor a group."""
    spec = own.metadata.get(_KEY)
    return spec if isinstance(spec, OptionField | GroupField) else None


def check_ranges(settings: Any) -> None:
    """Refuse numbers outside the ranges of their options, groups included.

    Raises
    ------
    MedrovError
        ``USAGE``, naming the option.
    """
    for spec, value in _options(settings):
        if isinstance(value, bool) or not isinstance(value, Real):
            continue
        number = float(value)
        too_low = spec.low is not None and not number >= spec.low
        too_high = spec.high is not None and not number <= spec.high
        if too_low or too_high:
            raise out_of_range(spec.flags[0], number, spec.low, spec.high)


def check_values(settings: Any) -> None:
    """Refuse values of settings made in Python that the command line refuses: types, choices and ranges.

    Raises
    ------
    MedrovError
        ``USAGE``, naming the option.
    """
    hints = typing.get_type_hints(type(settings))
    for own in fields(settings):
        spec = spec_of(own)
        if not isinstance(spec, OptionField):
            continue
        value, kinds = getattr(settings, own.name), typing.get_args(hints[own.name]) or (hints[own.name],)
        if value is None and type(None) in kinds:
            continue
        kind = kinds[0]
        if isinstance(kind, type) and issubclass(kind, Enum):
            names = [str(item) for item in kind]
            if value not in names:
                raise usage_error(f"{spec.flags[0]} {value!r} is unknown", f"Give {', '.join(names)}.")
        elif kind in _BASES and (isinstance(value, bool) or not isinstance(value, _BASES[kind])):
            raise usage_error(f"{spec.flags[0]} {value!r} is no {kind.__name__}", "Give another value.")
    check_ranges(settings)


def given_flags(settings: Any, usual: Any = None) -> list[str]:
    """Return the flags of the options whose value is not that of ``usual``, the default of their class."""
    return [
        spec.flags[0]
        for own in fields(settings)
        if isinstance(spec := spec_of(own), OptionField)
        and getattr(settings, own.name) != (own.default if usual is None else getattr(usual, own.name))
    ]


def _options(settings: Any) -> Iterator[tuple[OptionField, Any]]:
    for own in fields(settings):
        spec, value = spec_of(own), getattr(settings, own.name)
        if isinstance(spec, OptionField):
            yield spec, value
        elif is_dataclass(value):
            yield from _options(value)


def _field(spec: OptionField, default: Any) -> Any:
    if spec.given_default is not None and spec.parse is not None:
        default = spec.parse(spec.given_default)
    return field(default=default, metadata={_KEY: spec})
