"""Values that options parse from text, and checks of single values."""

from __future__ import annotations

import re
from dataclasses import dataclass

from medrov_cli.core.base.constants import GRID, MAX_IMGSZ
from medrov_cli.core.base.errors import ErrorCode, MedrovError

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_PROMPT_HINT = (
    'Write classes as "lung nodule, colon polyp/polyp": commas between classes, slashes between synonyms.'
)


def check_imgsz(imgsz: int) -> None:
    """Refuse a size that the network cannot take.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    if imgsz % GRID or not GRID <= imgsz <= MAX_IMGSZ:
        raise MedrovError(
            ErrorCode.USAGE,
            f"--imgsz {imgsz} is not a multiple of {GRID} from {GRID} to {MAX_IMGSZ}",
            f"The nearest is {min(max(round(imgsz / GRID) * GRID, GRID), MAX_IMGSZ)}.",
        )


def check_device(device: str) -> None:
    """Refuse a text that names no device; whether the device is there is seen on opening.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    if not _DEVICE.fullmatch(device):
        raise MedrovError(
            ErrorCode.USAGE, f"--device {device!r} is not a device", "Give auto, cpu, cuda, cuda:N or mps."
        )


@dataclass(frozen=True, slots=True)
class Prompt:
    """One class that is searched for.

    Attributes
    ----------
    name
        As given, with plain spaces; synonyms included: ``colon polyp/polyp``.
    synonyms
        The texts whose embeddings are averaged; the name alone where there is one text only.
    """

    name: str
    synonyms: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Prompt:
        """Return the prompt of one class, ``a`` or ``a/b``.

        Raises
        ------
        MedrovError
            ``USAGE`` if a part is empty, given twice, or has control characters.
        """
        parts = tuple(" ".join(part.split()) for part in text.split("/"))
        if not all(parts):
            what = f"class {text.strip()!r} has an empty synonym" if any(parts) else "a class has no name"
            raise MedrovError(ErrorCode.USAGE, what, _PROMPT_HINT)
        if not all(part.isprintable() for part in parts):
            raise MedrovError(ErrorCode.USAGE, f"class {text!r} has control characters", _PROMPT_HINT)
        if len({part.casefold() for part in parts}) < len(parts):
            raise MedrovError(ErrorCode.USAGE, f"class {text.strip()!r} names a synonym twice", _PROMPT_HINT)
        return cls("/".join(parts), parts)


@dataclass(frozen=True, slots=True)
class HitRule:
    """When a detection hits an object.

    Attributes
    ----------
    iou
        At this IoU or above; null: where the centres are nearer than the object's radius.
    """

    iou: float | None = 0.5

    def __str__(self) -> str:
        """Return ``iou:0.5`` or ``centre``."""
        return "centre" if self.iou is None else f"iou:{self.iou:g}"

    @classmethod
    def parse(cls, text: str) -> HitRule:
        """Return the rule that ``centre``, ``iou`` or ``iou:X`` names.

        Raises
        ------
        ValueError
            If it is none of them, or X is not above 0 and up to 1.
        """
        name, _, value = text.strip().partition(":")
        if name == "centre" and not value:
            return cls(None)
        if name == "iou" and 0 < float(value or 0.5) <= 1:
            return cls(float(value or 0.5))
        raise ValueError(text)
