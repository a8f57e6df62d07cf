"""Parsers of JSON and TOML from outside, with limits.

They limit size, depth and the length of numbers. They refuse a key that stands twice, aliases that repeat
much, document types, null characters and half of a surrogate pair. `DocumentError` states what is wrong, as
the end of a sentence whose subject is the file. They raise no other exception but `OSError`.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from medrov_cli.core.base.text_files import (
    MOST_LEVELS,
    MOST_SHOWN,
    DocumentError,
    decode_text,
    first_repeated,
    is_encodable,
    no_memory,
    read_text,
    shown_key,
    too_deep,
)

JSON_BYTES = 1 << 30
"""Limit of a JSON file: twice the largest file of COCO (instances_train2017.json, 448 MB)."""

TOML_BYTES = 1 << 16
"""Limit of a TOML file, which people write."""

MOST_DIGITS = 100
"""Maximum digits of a whole number: an identifier of 128 bits has 39. Floats hold 308 digits."""

_LARGEST = 10**MOST_DIGITS
_MOST_KEY_PARTS = 32  # a.b.c in TOML: its parser needs the square of this in time


def read_json(path: Path, most_bytes: int = JSON_BYTES, *, allow_nan: bool = False) -> Any:
    """Return the value of a JSON file; see `parse_json`.

    Raises
    ------
    OSError, DocumentError
    """
    return parse_json(read_text(path, most_bytes), allow_nan=allow_nan)


def parse_json(text: str | bytes, *, allow_nan: bool = False) -> Any:
    """Return the value of a JSON text.

    Parameters
    ----------
    text
        The text, or its bytes in an encoding of `decode_text`.
    allow_nan
        Whether ``NaN``, ``Infinity`` and numbers beyond float64 are read, which are not JSON.

    Raises
    ------
    DocumentError
        It is not JSON; see the module for the limits.
    """
    import json

    text = decode_text(text) if isinstance(text, bytes) else text
    try:
        value = json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=None if allow_nan else _refuse_constant
        )
    except DocumentError:
        raise
    except json.JSONDecodeError as error:
        raise DocumentError(
            f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise too_deep() from None
    except ValueError:  # int() of more than 4,300 digits
        raise _too_many_digits() from None
    except MemoryError:
        raise no_memory() from None
    _require_shallow(value, allow_nan=allow_nan)
    if "\\u" in text:  # no other text can have surrogates or null characters
        require_texts(value)
    return value


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table of a TOML file.

    Raises
    ------
    OSError, DocumentError
    """
    return parse_toml(read_text(path, TOML_BYTES))


def read_toml_asset(name: str) -> dict[str, Any]:
    """Return the table of a TOML file among the assets of the package."""
    from importlib.resources import as_file, files

    with as_file(files("medrov_cli").joinpath("assets", name)) as path:
        return read_toml(path)


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table of a TOML text.

    Raises
    ------
    DocumentError
    """
    import tomllib

    if any(part.count(".") >= _MOST_KEY_PARTS for part in re.split(r"[=,\[\]{}\n]", text)):
        raise DocumentError(f"has a key of more than {_MOST_KEY_PARTS} parts")
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DocumentError(f"is not TOML: {error}") from None
    except RecursionError:
        raise too_deep() from None
    except ValueError:
        raise _too_many_digits() from None
    _require_shallow(value, allow_nan=True)
    return value


def require_texts(value: object) -> None:
    """Refuse null characters and half of a surrogate pair in the texts of a value, also in its keys.

    Bytes of file names are allowed; see `medrov_cli.core.base.text_files`.

    Raises
    ------
    DocumentError
        It names the place.
    """
    waiting: list[tuple[str, object]] = [("", value)]
    seen: set[int] = set()
    while waiting:
        place, item = waiting.pop()
        if isinstance(item, str):
            if "\0" in item:
                raise DocumentError(f"has a null character{_at(place)}")
            if not is_encodable(item, errors="surrogateescape"):
                raise DocumentError(f"has half of a surrogate pair{_at(place)}")
        elif isinstance(item, list | dict) and id(item) not in seen:
            seen.add(id(item))
            if isinstance(item, dict):
                waiting += [(place, key) for key in item]
            pairs = item.items() if isinstance(item, dict) else enumerate(item)
            waiting += [(f"{place}/{key}", child) for key, child in pairs]


def _require_shallow(value: object, *, allow_nan: bool) -> None:
    """Refuse values below too many levels, whole numbers of too many digits, and numbers that are not finite.

    Level by level: the document may have millions of numbers, and a function for each would take longer.
    """
    level: list[Any] = [[value]]
    for _ in range(MOST_LEVELS + 1):
        below: list[Any] = []
        for item in level:
            for child in item.values() if type(item) is dict else item:
                kind = type(child)
                if kind is dict or kind is list:
                    below.append(child)
                elif kind is int:
                    if not -_LARGEST < child < _LARGEST:
                        raise _too_many_digits()
                elif kind is float and not allow_nan and not math.isfinite(child):
                    raise DocumentError("has a number beyond the range of float64")
        if not below:
            return
        level = below
    raise too_deep()


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = first_repeated(key for key, _ in pairs)
        raise DocumentError(f"has the key {shown_key(str(twice))} twice")
    return found


def _refuse_constant(name: str) -> float:
    raise DocumentError(f"is not JSON: {name} is not a number of JSON")


def _at(place: str) -> str:
    return f" at {place[:MOST_SHOWN].encode('ascii', 'backslashreplace').decode()}" if place else ""


def _too_many_digits() -> DocumentError:
    return DocumentError(f"has a number of more than {MOST_DIGITS} digits")
