"""Frozen dataclasses from and to JSON or TOML objects: strict, with errors that name the field."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from medrov_cli.core.base.documents import parse_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.number_lists import are_shares
from medrov_cli.core.base.text_files import DocumentError

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Rule:
    """Requirements of a field beyond its type; stands in ``Annotated[int, Rule(low=1, high=9)]``.

    Attributes
    ----------
    key
        Key in the document; empty: the name of the field.
    low, high
        Smallest and largest allowed number; of a fraction without ``high``: 0 and 1.
    among
        Allowed texts; empty: any.
    may_be_empty
        Whether a text may be empty.
    may_be_absent
        Whether the field may be absent from the document; it then has its default.
    """

    key: str = ""
    low: int = 0
    high: int = 0
    among: tuple[str, ...] = ()
    may_be_empty: bool = False
    may_be_absent: bool = False


def read_record(record: type[Record], fields: Fields, **given: Any) -> Record:
    """Return a dataclass record from an object of a document.

    Types of fields: texts, whole numbers, fractions (float), flags, enums, records, unparsed objects
    (``dict``), tuples of texts, fractions, enums and records, and optional forms of all of these.

    Parameters
    ----------
    record
        The dataclass.
    fields
        The object; keys that the dataclass does not have are ignored.
    given
        Fields that are not read.

    Raises
    ------
    MedrovError
        ``weights_corrupt`` if a field is missing or of another kind.
    """
    values = dict(given)
    for name, kind, rule in _described(record):  # type: ignore[arg-type]
        key = rule.key or name
        if name not in given and not (rule.may_be_absent and key not in fields.data):
            values[name] = _value(fields, key, kind, rule)
    return record(**values)


def flat_document(record: Any) -> dict[str, Any]:
    """Return the object of a record whose fields are texts, numbers, flags or null."""
    fields = _described(type(record))  # type: ignore[arg-type]
    return {rule.key or name: getattr(record, name) for name, _, rule in fields}


@functools.cache
def _described(record: type) -> tuple[tuple[str, Any, Rule], ...]:
    """Return name, type and rule of each field."""
    described: list[tuple[str, Any, Rule]] = []
    for name, hint in get_type_hints(record, include_extras=True).items():
        kind, rule = get_args(hint) if get_origin(hint) is Annotated else (hint, Rule())
        described.append((name, kind, rule))
    return tuple(described)


def _value(fields: Fields, key: str, kind: Any, rule: Rule) -> Any:
    """Return the value of a field, checked."""
    inner = get_args(kind)
    if NoneType in inner:
        if fields.data.get(key, rule) is None:
            return None
        return _value(fields, key, next(own for own in inner if own is not NoneType), rule)
    if get_origin(kind) is tuple:
        return _values(fields, key, inner[0])
    if get_origin(kind) is dict:
        return fields.mapping(key)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return read_record(kind, fields.child(key))
    return _scalar(fields, key, kind, rule)


def _values(fields: Fields, key: str, kind: Any) -> tuple[Any, ...]:
    """Return a list of a document."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return tuple(read_record(kind, child) for child in fields.children(key))
    if issubclass(kind, Enum):
        return tuple(kind(value) for value in fields.texts(key, among=[member.value for member in kind]))
    return fields.shares(key) if kind is float else fields.texts(key)


def _scalar(fields: Fields, key: str, kind: Any, rule: Rule) -> Any:
    """Return a text, a number, a flag or a member of an enum."""
    if issubclass(kind, Enum):
        return kind(fields.choice(key, [member.value for member in kind]))
    if kind is bool:
        return fields.flag(key)
    if kind is int:
        return fields.integer(key, low=rule.low, high=rule.high)
    if kind is float:
        return fields.number(key, low=rule.low, high=rule.high) if rule.high else fields.share(key)
    return fields.choice(key, rule.among) if rule.among else fields.text(key, may_be_empty=rule.may_be_empty)


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of one object of a document.

    Every getter raises :class:`MedrovError` with code ``weights_corrupt`` when the field is
    missing or of another kind.

    Attributes
    ----------
    data
        The object.
    where
        Name of the file, for messages.
    path
        Place of the object in the document, ``""`` for the document itself.
    """

    data: dict[str, Any]
    where: str
    path: str = ""

    @classmethod
    def from_object(cls, data: object, where: str, path: str = "") -> Fields:
        """Return the fields of ``data``, which must be an object."""
        if not isinstance(data, dict):
            raise _error(where, f"{path or 'the document'} must be an object")
        return cls(data, where, path)

    @classmethod
    def from_json(cls, text: str, where: str, schema: str, *, again: str, update: str) -> Fields:
        """Return the fields of a JSON document of one schema.

        Parameters
        ----------
        text
            The document.
        where
            Name of the file, for messages.
        schema
            Expected value of its field ``schema``.
        again, update
            Hints: of a text that is not JSON, and of another schema.
        """
        try:
            document = parse_json(text)
        except DocumentError as error:
            raise MedrovError(ErrorCode.WEIGHTS_CORRUPT, f"{where}: the metadata {error}", again) from error
        fields = cls.from_object(document, where)
        found = fields.text("schema")
        if found != schema:
            raise MedrovError(
                ErrorCode.WEIGHTS_CORRUPT,
                f"{where}: unknown metadata schema {found!r}; this version reads {schema!r}",
                update,
            )
        return fields

    def require(self, condition: bool, key: str, expected: str) -> None:
        """Raise the error that field ``key`` is not what is ``expected``, unless ``condition`` holds."""
        if not condition:
            raise _error(self.where, f"field {self.path + key!r} must be {expected}")

    def _get(self, key: str) -> Any:
        if key not in self.data:
            raise _error(self.where, f"field {self.path + key!r} is missing")
        return self.data[key]

    def text(self, key: str, *, may_be_empty: bool = False) -> str:
        """Return a string."""
        value = self._get(key)
        expected = "a text" if may_be_empty else "a non-empty text"
        self.require(isinstance(value, str) and (bool(value) or may_be_empty), key, expected)
        return str(value)

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self._get(key)
        self.require(isinstance(value, bool), key, "true or false")
        return bool(value)

    def integer(self, key: str, *, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        value = self._get(key)
        whole = isinstance(value, int) and not isinstance(value, bool)
        self.require(whole and low <= value <= high, key, f"a whole number from {low} to {high}")
        return int(value)

    def optional_integer(self, key: str, *, low: int, high: int) -> int | None:
        """Return a whole number from ``low`` to ``high``, or null."""
        return None if self._get(key) is None else self.integer(key, low=low, high=high)

    def number(self, key: str, *, low: float, high: float) -> float:
        """Return a number from ``low`` to ``high``, both included."""
        value = self._get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        self.require(is_number and low <= value <= high, key, f"a number from {low:g} to {high:g}")
        return float(value)

    def share(self, key: str) -> float:
        """Return a number from 0 to 1."""
        return self.number(key, low=0, high=1)

    def shares(self, key: str) -> tuple[float, ...]:
        """Return a list of numbers from 0 to 1."""
        value = self._get(key)
        self.require(are_shares(value), key, "a list of numbers from 0 to 1")
        return tuple(map(float, value))

    def choice(self, key: str, among: Sequence[str]) -> str:
        """Return one of the strings ``among``."""
        value = self._get(key)
        self.require(isinstance(value, str) and value in among, key, "one of " + ", ".join(among))
        return str(value)

    def texts(self, key: str, *, among: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return a list of non-empty strings, each one of ``among`` if that is given."""
        value = self._get(key)
        texts = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
        self.require(texts, key, "a list of texts")
        if among is not None:
            self.require(set(value) <= set(among), key, "a list of " + ", ".join(among))
        return tuple(value)

    def mapping(self, key: str) -> dict[str, Any]:
        """Return an object without parsing."""
        value = self._get(key)
        self.require(isinstance(value, dict), key, "an object")
        return dict(value)

    def child(self, key: str) -> Fields:
        """Return the fields of an object inside this one."""
        return Fields(self.mapping(key), self.where, f"{self.path}{key}.")

    def children(self, key: str) -> list[Fields]:
        """Return the fields of every object in a list."""
        value = self._get(key)
        self.require(isinstance(value, list), key, "a list")
        return [
            Fields.from_object(item, self.where, f"{self.path}{key}[{index}].")
            for index, item in enumerate(value)
        ]


def _error(where: str, what: str) -> MedrovError:
    """Return the error that a document is not what it must be."""
    return MedrovError(ErrorCode.WEIGHTS_CORRUPT, f"{where}: {what}", "Get or write the file again.")
