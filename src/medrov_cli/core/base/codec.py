"""Typed reading of a JSON or TOML object, with errors that name the field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one object of a document.

    Every getter raises :class:`MedrovError` with code ``weights_corrupt`` when the field is
    missing or of another kind.

    Attributes
    ----------
    data
        The object.
    where
        Name of the file, for messages.
    path
        Where the object is in the document, ``""`` for the document itself.
    """

    data: dict[str, Any]
    where: str
    path: str = ""

    @classmethod
    def of(cls, data: object, where: str, path: str = "") -> Fields:
        """Return the fields of ``data``, which must be an object."""
        if not isinstance(data, dict):
            raise _error(where, f"{path or 'the document'} must be an object")
        return cls(data, where, path)

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
        expected = "a text" if may_be_empty else "a text that is not empty"
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

    def share(self, key: str) -> float:
        """Return a number from 0 to 1."""
        value = self._get(key)
        self.require(_is_share(value), key, "a number from 0 to 1")
        return float(value)

    def shares(self, key: str) -> tuple[float, ...]:
        """Return a list of numbers from 0 to 1."""
        value = self._get(key)
        are_shares = isinstance(value, list) and all(_is_share(item) for item in value)
        self.require(are_shares, key, "a list of numbers from 0 to 1")
        return tuple(float(item) for item in value)

    def choice(self, key: str, among: Sequence[str]) -> str:
        """Return one of the strings ``among``."""
        value = self._get(key)
        self.require(isinstance(value, str) and value in among, key, "one of " + ", ".join(among))
        return str(value)

    def optional_choice(self, key: str, among: Sequence[str]) -> str | None:
        """Return one of the strings ``among``, or null."""
        return None if self._get(key) is None else self.choice(key, among)

    def texts(self, key: str, *, among: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return a list of strings that are not empty, each one of ``among`` where that is given."""
        value = self._get(key)
        texts = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
        self.require(texts, key, "a list of texts")
        if among is not None:
            self.require(set(value) <= set(among), key, "a list of " + ", ".join(among))
        return tuple(value)

    def mapping(self, key: str) -> dict[str, Any]:
        """Return an object as it is."""
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
            Fields.of(item, self.where, f"{self.path}{key}[{index}].") for index, item in enumerate(value)
        ]


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _error(where: str, what: str) -> MedrovError:
    """Return the error that a document is not what it must be."""
    return MedrovError(ErrorCode.WEIGHTS_CORRUPT, f"{where}: {what}", "Get or write the file again.")
