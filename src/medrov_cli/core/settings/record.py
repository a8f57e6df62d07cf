"""Settings as JSON, for ``run.json``, reports and ``config.json``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from medrov_cli.core.settings.field import GroupField, OptionField, spec_of


def results_record(settings: Any) -> dict[str, Any]:
    """Return the options that affect a result, by key, in the order of the fields; groups are flat."""
    record: dict[str, Any] = {}
    for own in fields(settings):
        spec = spec_of(own)
        if isinstance(spec, GroupField):
            inner = results_record(getattr(settings, own.name))
            record |= {key: value for key, value in inner.items() if key not in spec.omit}
        elif spec is not None and spec.affects_result:
            if not spec.is_always_recorded and getattr(settings, own.name) == own.default:
                continue
            record[spec.key or own.name] = as_json_value(getattr(settings, spec.recorded or own.name))
    return record


def whole_record(settings: Any, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """Return all fields except those in ``leave_out``, by key; a group is a nested object."""
    record: dict[str, Any] = {}
    for own in fields(settings):
        spec = spec_of(own) or OptionField()
        if own.name not in leave_out:
            record[spec.key or own.name] = as_json_value(getattr(settings, spec.recorded or own.name))
    return record


def as_json_value(value: Any) -> Any:
    """Return a value in JSON: an object for a group, else the text of the option."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [as_json_value(item) for item in value]
    is_group = is_dataclass(value) and "__str__" not in vars(type(value))
    return whole_record(value) if is_group else str(value)
