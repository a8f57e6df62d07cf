"""Which grey-level window to use: the ``--window`` choice and the presets in HU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from medrov_cli.core.base.errors import MedrovError, usage_error


class WindowKind(StrEnum):
    """The four ways to choose a window."""

    AUTO = "auto"
    TAG = "tag"
    PRESET = "preset"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Preset:
    """A named CT window.

    Attributes
    ----------
    center_hu, width_hu
        In Hounsfield units.
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
"""What ``auto`` uses for values in HU when the file brings no window of its own."""

_HINT = "Use auto, tag, tag:N (the file's N-th window, from 1), {presets}, or WIDTH,CENTER such as 1500,-600."


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """The user's choice of a window, not yet applied to a file.

    Attributes
    ----------
    kind
        How the window is chosen.
    index
        0-based number of the file's own window, for ``tag``.
    preset
        Name in `PRESETS`, for ``preset``.
    center, width
        For ``custom``: in the units after the modality LUT (HU for CT).
    """

    kind: WindowKind = WindowKind.AUTO
    index: int = 0
    preset: str | None = None
    center: float | None = None
    width: float | None = None

    def __str__(self) -> str:
        """Return the text that `parse_window` turns into an equal choice."""
        if self.kind is WindowKind.TAG:
            return f"tag:{self.index + 1}"
        if self.kind is WindowKind.CUSTOM:
            return f"{self.width!r},{self.center!r}"
        return self.preset or self.kind.value


AUTO = WindowSpec()


def parse_window(text: str) -> WindowSpec:
    """Read a window choice: ``auto``, ``tag``, ``tag:N``, a preset's name, or ``WIDTH,CENTER``.

    Parameters
    ----------
    text
        Whatever case, blanks around the parts allowed. ``N`` counts from 1.

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
