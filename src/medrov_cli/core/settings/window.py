"""Grey-level windows: the option ``--window``, and presets in HU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from medrov_cli.core.base.errors import MedrovError, usage_error


class WindowKind(StrEnum):
    """Kinds of window choices."""

    AUTO = "auto"
    TAG = "tag"
    PRESET = "preset"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Preset:
    """Named CT window.

    Attributes
    ----------
    center_hu, width_hu
        Centre and width in Hounsfield units.
    """

    center_hu: float
    width_hu: float


PRESETS = {
    "lung": Preset(center_hu=-600.0, width_hu=1500.0),
    "bone": Preset(center_hu=400.0, width_hu=1800.0),
    "brain": Preset(center_hu=40.0, width_hu=80.0),
    "soft": Preset(center_hu=50.0, width_hu=400.0),
}
"""Usual CT windows (Radiopaedia, "Windowing (CT)": lungs, bone, brain, abdominal soft tissues)."""

DEFAULT_CT_PRESET = "soft"
"""Window of ``auto`` for values in HU in files without a window."""

_HINT = "Use auto, tag, tag:N (the file's N-th window, from 1), {presets}, or WIDTH,CENTER such as 1500,-600."


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """Choice of a window, before its application to a file.

    Attributes
    ----------
    kind
        How the window is chosen.
    index
        0-based number of the window in the file, for ``tag``.
    preset
        Name in `PRESETS`, for ``preset``.
    center, width
        Centre and width for ``custom``, in the units after the modality LUT (HU for CT).
    """

    kind: WindowKind = WindowKind.AUTO
    index: int = 0
    preset: str | None = None
    center: float | None = None
    width: float | None = None

    def __str__(self) -> str:
        """Return the text from which `parse_window` makes an equal choice."""
        if self.kind is WindowKind.TAG:
            return f"tag:{self.index + 1}"
        if self.kind is WindowKind.CUSTOM:
            return f"{self.width!r},{self.center!r}"
        return self.preset or self.kind.value


AUTO = WindowSpec()


def parse_window(text: str) -> WindowSpec:
    """Parse a window choice: ``auto``, ``tag``, ``tag:N``, the name of a preset, or ``WIDTH,CENTER``.

    Parameters
    ----------
    text
        Text in upper or lower case, with optional blanks around its parts. ``N`` counts from 1.

    Raises
    ------
    MedrovError
        ``usage`` if the text is none of these, or a number is not finite or not positive.
    """
    word = text.strip().casefold()
    if word == "auto":
        return AUTO
    if word in PRESETS:
        return WindowSpec(WindowKind.PRESET, preset=word)
    head, colon, number = word.partition(":")
    if head.strip() == "tag":
        return WindowSpec(WindowKind.TAG, index=_tag_index(number, text) if colon else 0)
    if "," in word:
        return _custom(word, text)
    raise _usage(f"--window: unknown {text!r}.")


def _tag_index(number: str, text: str) -> int:
    digits = number.strip()
    if not (digits.isascii() and digits.isdecimal()) or int(digits) < 1:
        raise _usage(f"--window {text!r}: the number after 'tag:' must be 1 or more.")
    return int(digits) - 1


def _custom(word: str, text: str) -> WindowSpec:
    parts = word.split(",")
    try:
        width, center = (float(part) for part in parts)
    except ValueError:
        raise _usage(f"--window {text!r}: two numbers are needed, WIDTH,CENTER.") from None
    if not (math.isfinite(width) and math.isfinite(center)):
        raise _usage(f"--window {text!r}: the numbers must be finite.")
    if width <= 0:
        raise _usage(f"--window {text!r}: the width must be above 0.")
    return WindowSpec(WindowKind.CUSTOM, center=center, width=width)


def _usage(message: str) -> MedrovError:
    return usage_error(message, _HINT.format(presets=", ".join(PRESETS)))
