"""Typer signature of a settings class: one parameter per option, and settings from their values."""

from __future__ import annotations

import functools
import inspect
import keyword
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Literal

import typer

from medrov_cli.commands.completion import completion_of
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.settings.field import GroupField, OptionField, spec_of
from medrov_cli.core.settings.presets import read_preset

PRESET = "preset"
"""Name of the field of the option that changes the defaults of the command."""

_ALL = GroupField()


@dataclass(frozen=True, slots=True)
class Parameter:
    """Option or argument of a command.

    Attributes
    ----------
    field_name
        Name of the field.
    spec
        Flags, help and range, with the changes of its group.
    kind
        Type of the field, without None.
    default
        Value of the settings without the option; ``MISSING``: the option is required.
    """

    field_name: str
    spec: OptionField
    kind: Any
    default: Any

    @property
    def name(self) -> str:
        """Return the name of the parameter, from the flag or from an argument's field."""
        flags = [flag for flag in self.spec.flags if flag.startswith("--")]
        name = flags[0].split("/")[0][2:].replace("-", "_") if flags else self.field_name
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def given_default(self) -> Any:
        """Return the default in the syntax of the command line."""
        if self.default is MISSING:
            return inspect.Parameter.empty
        if self.spec.given_default is not None:
            return self.spec.given_default
        if not self.spec.shows_default or (self.spec.parse is not None and self.spec.given is None):
            return None
        if isinstance(self.default, tuple):
            return list(self.default) or None
        return self.default.value if isinstance(self.default, Enum) else self.default

    @property
    def given_type(self) -> Any:
        """Return the type for typer."""
        spec, kind = self.spec, self.kind
        if spec.given is not None:
            kind = spec.given
        elif spec.parse is not None:
            kind = str
        elif spec.choices:
            kind = Literal[spec.choices]
        elif typing.get_origin(kind) is tuple:
            kind = GenericAlias(list, typing.get_args(kind)[:1])
        return kind | None if self.given_default is None else kind

    @property
    def is_path(self) -> bool:
        """Return whether a value, or each of several, is a path."""
        kinds = {self.kind, self.spec.given}
        return any(kind is Path or Path in typing.get_args(kind) for kind in kinds)

    def value(self, given: Any) -> Any:
        """Return the value of the field from a parsed value of the command line.

        Raises
        ------
        MedrovError
            ``USAGE`` for an empty path, which would be the working folder.
        """
        if given is None:
            return self.default
        if self.is_path or "FILE" in (self.spec.metavar or ""):
            given = [self._path(item) for item in given] if isinstance(given, list) else self._path(given)
        if self.spec.parse is not None:
            return self.spec.parse(given)
        if isinstance(self.kind, type) and issubclass(self.kind, Enum):
            return self.kind(given)
        return tuple(given) if isinstance(given, list) else given

    def _path(self, given: str) -> Path | str:
        if not given:
            name = next(iter(self.spec.flags), self.spec.metavar or self.name.upper())
            raise usage_error(f"{name} is empty", "Give a path; '.' is the working folder.")
        return Path(given) if self.is_path else given


def parameters(settings: type) -> list[Parameter]:
    """Return the options of a settings class and its groups, in the order of ``--help``."""
    found = list(_flat(settings, _ALL, MISSING))
    for moved in [item for item in found if item.spec.before]:
        found.remove(moved)
        place = next(n for n, item in enumerate(found) if moved.spec.before in item.spec.flags)
        found.insert(place, moved)
    names = [item.name for item in found]
    if len(set(names)) < len(names):
        raise TypeError(f"{settings.__name__} has two options with one name: {sorted(names)}")
    return found


def make_settings(settings: type, values: Mapping[str, Any]) -> Any:
    """Return settings from the parsed values of the command line, by parameter."""
    return _made(settings, values, _ALL, MISSING)


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a command for typer with the fields of the settings of ``function`` as options.

    Parameters
    ----------
    function
        Function of one settings object, with an optional ``typer.Context`` before it.
    """
    hints: dict[str, Any] = typing.get_type_hints(function)
    ((name, settings),) = (
        (key, kind) for key, kind in hints.items() if isinstance(kind, type) and is_dataclass(kind)
    )
    contexts = {key: kind for key, kind in hints.items() if kind is typer.Context}
    own = [_typer_parameter(item) for item in parameters(settings)]
    context = [_keyword(key, kind) for key, kind in contexts.items()]

    @functools.wraps(function)
    def command(**values: Any) -> None:
        passed = {key: values.pop(key) for key in contexts}
        function(**passed, **{name: make_settings(settings, values)})

    command.__signature__ = inspect.Signature([*context, *own])  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in (*context, *own)}
    return command


def _flat(settings: type, group: GroupField, start: Any) -> Iterator[Parameter]:
    for own, spec, kind in _specs(settings):
        default = _default(own, start)
        if isinstance(spec, GroupField):
            yield from _flat(kind, spec, default)
        elif own.name not in group.omit:
            yield Parameter(own.name, group.adapt(own.name, spec), kind, default)


def _made(settings: type, values: Mapping[str, Any], group: GroupField, start: Any) -> Any:
    chosen = {}
    for own, spec, kind in _specs(settings):
        default = _default(own, start)
        if isinstance(spec, GroupField):
            chosen[own.name] = _made(kind, values, spec, default)
        elif own.name not in group.omit:
            option = Parameter(own.name, spec, kind, default)
            chosen[own.name] = option.value(values[option.name])
    return settings(**chosen) if start is MISSING else replace(start, **chosen)


def _specs(settings: type) -> Iterator[tuple[Field[Any], OptionField | GroupField, Any]]:
    hints = typing.get_type_hints(settings)
    for own in fields(settings):
        spec = spec_of(own)
        if spec is not None:
            yield own, spec, _without_none(hints[own.name])


def _default(own: Field[Any], start: Any) -> Any:
    return own.default if start is MISSING else getattr(start, own.name)


def _without_none(kind: Any) -> Any:
    members = [member for member in typing.get_args(kind) if member is not type(None)]
    is_optional = type(None) in typing.get_args(kind)
    return members[0] if is_optional and len(members) == 1 else kind


def _typer_parameter(item: Parameter) -> inspect.Parameter:
    spec, is_preset = item.spec, item.field_name == PRESET
    info: Any
    path_type = str if item.is_path else None  # an empty text stays one
    if spec.flags:
        info = typer.Option(
            *spec.flags,
            help=spec.help,
            metavar=spec.metavar,
            min=spec.low,
            max=spec.high,
            rich_help_panel=spec.panel,
            autocompletion=completion_of(spec, item.given_type),
            callback=_use_preset if is_preset else None,
            is_eager=is_preset,
            path_type=path_type,
        )
    else:
        info = typer.Argument(help=spec.help, metavar=spec.metavar, path_type=path_type)
    return _keyword(item.name, Annotated[item.given_type, info], item.given_default)


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _use_preset(context: typer.Context, name: str | None) -> str | None:
    """Set the values of a preset as defaults of the command."""
    if name is not None:
        options = {p.opts[0][2:]: p for p in context.command.params if p.opts[0].startswith("--")}
        preset = read_preset(name, options.keys() - {PRESET, "json"})
        context.default_map = {
            str(options[key].name): [value] if options[key].multiple and isinstance(value, str) else value
            for key, value in preset.items()
        }
    return name
