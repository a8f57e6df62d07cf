"""Classes of mask values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medrov_cli.core.base.errors import MedrovError, usage_error

_HINT = "Write 1=liver,2=kidney, or one name for all values other than 0."


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Map from mask values to class names.

    Attributes
    ----------
    names
        Names by value, without 0, the background. A value with an empty name is ignored.
    binary
        Class of all values other than 0; null if values have different classes.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    binary: str | None = None

    def __bool__(self) -> bool:
        return bool(self.names) or self.binary is not None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Distinct classes in the given order."""
        if self.binary is not None:
            return (self.binary,)
        return tuple(dict.fromkeys(name for name in self.names.values() if name))


def parse_labels(text: str | None) -> LabelMap:
    """Parse ``1=liver,2=kidney``, or the class of a binary mask: ``polyp``.

    Values with the same name are one class. ``255=`` ignores a value.

    Raises
    ------
    MedrovError
        ``usage`` if the text is neither.
    """
    if text is None:
        return LabelMap()
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and parts[0] and "=" not in parts[0]:
        return LabelMap(binary=parts[0])
    names: dict[int, str] = {}
    for part in parts:
        number, equals, name = part.partition("=")
        if not equals or not (number.strip().isascii() and number.strip().isdecimal()):
            raise _bad_labels(f"--labels {text!r}: {part!r} is not VALUE=NAME.")
        value = int(number)
        if value == 0 or value in names:
            what = "0 is the background" if value == 0 else f"{value} occurs twice"
            raise _bad_labels(f"--labels {text!r}: {what}.")
        names[value] = name.strip()
    if not any(names.values()):
        raise _bad_labels(f"--labels {text!r} names no class.")
    return LabelMap(names)


def _bad_labels(message: str) -> MedrovError:
    return usage_error(message, _HINT)
