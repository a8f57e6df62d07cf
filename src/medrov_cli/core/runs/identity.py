"""Comparison of the records of two runs: the first different field, and the error that names it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.base.errors import MedrovError, usage_error

MAX_SHOWN_CHARACTERS = 80
"""Maximum length of a value in a message."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Message and hint of a refusal, as templates of :meth:`str.format`.

    Attributes
    ----------
    message
        Fields: ``folder``, ``record`` (path of the file that describes the run), of a refused file ``file``.
        If two runs differ also
        ``name``, ``names`` (first field that differs, all fields), ``old``, ``new`` (its values as
        JSON) and ``before``, ``now`` (its values).
    hint
        One action in the imperative.
    """

    message: str
    hint: str

    def error(self, **values: object) -> MedrovError:
        """Return the error with these values."""
        return usage_error(self.message.format(**values), self.hint)


@dataclass(frozen=True, slots=True)
class Difference:
    """Field in which two runs differ; nested names are joined with dots."""

    name: str
    before: Any
    now: Any


def require_equal(
    before: Any,
    now: Mapping[str, Any],
    refusal: Refusal,
    *,
    ignored: Collection[str] = (),
    whole: str = "record",
    **places: object,
) -> None:
    """Refuse to continue a run with another record.

    Parameters
    ----------
    before
        Record of the earlier run from JSON; None: unreadable.
    now
        Record of this run.
    refusal
        Message and hint.
    ignored
        Names at the top level of the records that may differ.
    whole
        Name of the record, for the message about an unreadable one.
    places
        Further fields of the message.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    plain = json.loads(json.dumps(now))
    found = [item for item in _differences(before, plain) if item.name.split(".")[0] not in ignored]
    if not found:
        return
    first = found[0]
    raise refusal.error(
        name=first.name or whole,
        names=", ".join(sorted({item.name or whole for item in found})),
        old=_shown(first.before),
        new=_shown(first.now),
        before=first.before,
        now=first.now,
        **places,
    )


def _differences(before: Any, now: Any, name: str = "") -> Iterator[Difference]:
    """Yield the fields that differ, in the order of the later record."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in before if key not in now)]:
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif before != now:
        yield Difference(name, before, now)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 3] + "..."
