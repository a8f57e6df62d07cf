"""Parser of YAML files from outside, with limits.

The builder of values from PyYAML's events is written by hand because PyYAML's own constructors recurse, let
the last of two equal keys win, read dates (2020-99-99 is an error without a place), and share aliased values,
whose text can grow exponentially. Here a date is a text, aliases are limited by the values that they stand
for, and tags are refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from medrov_cli.core.base.documents import MOST_DIGITS, require_texts
from medrov_cli.core.base.text_files import MOST_LEVELS, MOST_SHOWN, DocumentError, read_text

YAML_BYTES = 16 << 20
"""Limit of a YAML file, which people write."""

MOST_VALUES = 1_000_000
"""Maximum number of values of a document, with each alias counted as what it stands for."""

_PREFIX = "tag:yaml.org,2002:"
_NUMBERS = frozenset({f"{_PREFIX}int", f"{_PREFIX}float"})
_READ = frozenset({*_NUMBERS, f"{_PREFIX}bool", f"{_PREFIX}null"})
_TEXTS = frozenset({f"{_PREFIX}str", f"{_PREFIX}timestamp", f"{_PREFIX}value"})
_CONTAINERS = frozenset({None, "!", f"{_PREFIX}map", f"{_PREFIX}seq"})
_ABSENT = object()
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = yaml.resolver.Resolver()
_CONSTRUCTOR: Any = yaml.constructor.SafeConstructor()


@dataclass(slots=True)
class _Frame:
    """An open list or mapping.

    Attributes
    ----------
    value
        What is in it so far.
    anchor
        Its name for aliases.
    key
        The key whose value comes next.
    values, levels
        Number of values in it, and depth.
    """

    value: Any
    anchor: str | None
    key: Any = _ABSENT
    values: int = 1
    levels: int = 1


@dataclass(slots=True)
class _Known:
    """A value with an anchor, the number of values in it, and its depth."""

    value: Any
    values: int
    levels: int


@dataclass(slots=True)
class _Builder:
    """Values so far; see `read_yaml`."""

    root: Any = None
    frames: list[_Frame] = field(default_factory=list)
    anchors: dict[str, _Known] = field(default_factory=dict)
    documents: int = 0
    total: int = 0
    as_texts: bool = False

    def add_event(self, event: yaml.Event) -> None:
        """Add what an event tells."""
        if isinstance(event, yaml.ScalarEvent):
            self._add(_Known(self._scalar(event), 1, 0), event, event.anchor)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._open(event)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            frame = self.frames.pop()
            self._add(_Known(frame.value, frame.values, frame.levels), event, frame.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise _error(event, "has an alias of an unknown or unfinished value")
            self._add(self.anchors[event.anchor], event, None)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise _error(event, "has a second document")

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        if event.tag not in _CONTAINERS:
            raise _error(event, "has a tag that is not read")
        if len(self.frames) >= MOST_LEVELS:
            raise _error(event, f"is nested more than {MOST_LEVELS} levels deep")
        if self.frames and isinstance(self.frames[-1].value, dict) and self.frames[-1].key is _ABSENT:
            raise _error(event, "has a list or mapping as a key")
        is_map = isinstance(event, yaml.MappingStartEvent)
        self.frames.append(_Frame({} if is_map else [], event.anchor))

    def _add(self, own: _Known, event: yaml.Event, anchor: str | None) -> None:
        """Add a finished value to the open list or mapping."""
        self.total += 1
        if anchor is not None:
            self.anchors[anchor] = own
        if not self.frames:
            self.root = own.value
            return
        frame = self.frames[-1]
        frame.values += own.values
        frame.levels = max(frame.levels, own.levels + 1)
        if frame.values > MOST_VALUES or self.total > MOST_VALUES:
            raise _error(event, f"has more than {MOST_VALUES} values, counting those of aliases")
        if len(self.frames) + own.levels > MOST_LEVELS:
            raise _error(event, f"is nested more than {MOST_LEVELS} levels deep")
        if isinstance(frame.value, list):
            frame.value.append(own.value)
        elif frame.key is _ABSENT:
            self._begin_key(frame, own.value, event)
        else:
            frame.value[frame.key] = own.value
            frame.key = _ABSENT

    @staticmethod
    def _begin_key(frame: _Frame, key: Any, event: yaml.Event) -> None:
        if isinstance(key, list | dict):
            raise _error(event, "has a list or mapping as a key")
        if key in frame.value:
            raise _error(event, f"has the key {str(key)[:MOST_SHOWN]!r} twice")
        frame.key = key

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        tag = event.tag
        if self.as_texts:
            return event.value
        if tag is None or tag == "!":
            tag = _RESOLVER.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag in _TEXTS:
            return event.value
        if tag not in _READ:
            raise _error(event, "has a merge key or a tag that is not read")
        if tag in _NUMBERS and len(event.value) > MOST_DIGITS:
            raise _error(event, f"has a number of more than {MOST_DIGITS} digits")
        try:
            return _CONSTRUCTOR.yaml_constructors[tag](_CONSTRUCTOR, yaml.ScalarNode(tag, event.value))
        except (ValueError, KeyError, IndexError, OverflowError):  # an explicit tag of another text
            raise _error(event, f"has a text that is no {tag.removeprefix(_PREFIX)}") from None


def read_yaml(path: Path, *, as_texts: bool = False) -> Any:
    """Return the value of a YAML file.

    Parameters
    ----------
    path
        The file.
    as_texts
        Whether all keys and values are texts as they are written: ``no`` and ``010``, not False and 8.

    Raises
    ------
    OSError
        The file cannot be read.
    DocumentError
        It is not YAML within the limits.
    """
    text = read_text(path, YAML_BYTES)
    builder = _Builder(as_texts=as_texts)
    try:
        events: Iterable[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        for event in events:
            builder.add_event(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise DocumentError(f"is not YAML: {error.problem or error.context}{where}") from None
    except yaml.reader.ReaderError:
        raise DocumentError("is not YAML: it has a control character") from None
    except (yaml.YAMLError, RecursionError):
        raise DocumentError("is not YAML") from None
    except MemoryError:
        raise DocumentError("needs more memory than this machine has") from None
    require_texts(builder.root)
    return builder.root


def _error(event: yaml.Event, what: str) -> DocumentError:
    mark = event.start_mark
    return DocumentError(what if mark is None else f"{what} in line {mark.line + 1}")
