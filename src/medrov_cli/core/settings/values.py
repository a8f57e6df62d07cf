"""Values that options parse from text, and checks of single values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.constants import EXPORTED_SUFFIXES, GRID, MAX_IMGSZ
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.settings.choices import EngineName, Precision

_SHARD = re.compile(r"(\d{1,9})/(\d{1,9})")
_MEMORY = re.compile(r"(\d{1,18}(?:\.\d{1,6})?)\s*(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)
MIN_MEMORY_BYTES = 64 << 20
"""Smallest budget for images: one of 1,024 x 1,024 pixels fits."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_PROMPT_HINT = (
    'Write classes as "lung nodule, colon polyp/polyp": commas between classes, slashes between synonyms.'
)


def check_imgsz(imgsz: int) -> None:
    """Refuse an invalid size of the model input.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    if imgsz % GRID or not GRID <= imgsz <= MAX_IMGSZ:
        raise usage_error(
            f"--imgsz {imgsz} is not a multiple of {GRID} from {GRID} to {MAX_IMGSZ}",
            f"The nearest is {min(max(round(imgsz / GRID) * GRID, GRID), MAX_IMGSZ)}.",
        )


def check_device(device: str) -> None:
    """Refuse a text that names no device; its availability is checked when it is opened.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    if not _DEVICE.fullmatch(device):
        raise usage_error(f"--device {device!r} is not a device", "Give auto, cpu, cuda, cuda:N or mps.")


def parse_memory(text: str) -> int:
    """Parse a size of memory, such as ``4GiB``, ``4G``, ``500M`` or a number of bytes.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    found = _MEMORY.fullmatch(text.strip())
    size = 0 if found is None else int(float(found[1]) * 1024 ** "bkmgt".index((found[2] or "b").lower()))
    if size < MIN_MEMORY_BYTES:
        raise usage_error(
            f"--max-memory {text!r} is no size from {MIN_MEMORY_BYTES >> 20}M on",
            "Give a number with a unit, such as 4G or 500M.",
        )
    return size


@dataclass(frozen=True, slots=True)
class Prompt:
    """Class given by text.

    Attributes
    ----------
    name
        Text as given, with single spaces and synonyms: ``colon polyp/polyp``.
    synonyms
        Texts whose embeddings are averaged; only the name if there is one text.
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
            raise usage_error(what, _PROMPT_HINT)
        if not all(part.isprintable() for part in parts):
            raise usage_error(f"class {text!r} has control characters", _PROMPT_HINT)
        if len({part.casefold() for part in parts}) < len(parts):
            raise usage_error(f"class {text.strip()!r} contains a synonym twice", _PROMPT_HINT)
        return cls("/".join(parts), parts)


def parse_classes(text: str) -> tuple[Prompt, ...]:
    """Return the prompts of a comma-separated list, in its order.

    Raises
    ------
    MedrovError
        ``USAGE`` if a class is empty or given twice; the message names it.
    """
    return distinct_prompts([Prompt.parse(part) for part in text.split(",")])


def distinct_prompts(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Return the prompts, after a check that no two have equal texts, without regard to case and order.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    seen: set[frozenset[str]] = set()
    repeated = []
    for prompt in prompts:
        key = frozenset(synonym.casefold() for synonym in prompt.synonyms)
        if key in seen:
            repeated.append(prompt.name)
        seen.add(key)
    if repeated:
        names = ", ".join(repr(name) for name in dict.fromkeys(repeated))
        raise usage_error(f"classes given more than once: {names}", "Name each class once.")
    return tuple(prompts)


@dataclass(frozen=True, slots=True)
class Shard:
    """Part of the inputs of one job of an array.

    Attributes
    ----------
    number
        1-based.
    count
        Number of jobs.
    """

    number: int
    count: int

    def __str__(self) -> str:
        """Return ``i/n``."""
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard of ``i/n``.

        Raises
        ------
        MedrovError
            ``USAGE`` unless 1 <= i <= n.
        """
        match = _SHARD.fullmatch(text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise usage_error(
                f"--shard {text!r} is not i/n with 1 <= i <= n", "The second of four jobs is --shard 2/4."
            )
        return cls(int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class HitRule:
    """Rule of a hit of an object by a detection.

    Attributes
    ----------
    iou
        Minimum IoU; null: the distance of the centres is less than the object's radius.
    """

    iou: float | None = 0.5

    def __str__(self) -> str:
        """Return ``iou:0.5`` or ``centre``."""
        return "centre" if self.iou is None else f"iou:{self.iou:g}"

    @classmethod
    def parse(cls, text: str) -> HitRule:
        """Return the rule of ``centre``, ``iou`` or ``iou:X``.

        Raises
        ------
        ValueError
            If it is none of these, or X is not above 0 and up to 1.
        """
        name, _, value = text.strip().partition(":")
        if name == "centre" and not value:
            return cls(None)
        if name == "iou" and 0 < float(value or 0.5) <= 1:
            return cls(float(value or 0.5))
        raise ValueError(text)


def parse_hit(text: str) -> HitRule:
    """Return the hit rule of ``--hit``.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    try:
        return HitRule.parse(text)
    except ValueError as error:
        raise usage_error(f"--hit {text!r} is not a rule", "Give centre, or iou:X with X up to 1.") from error


@dataclass(frozen=True, slots=True)
class Variant:
    """Engine with its number format, or a model of ``medrov export``."""

    engine: EngineName = EngineName.AUTO
    precision: Precision = Precision.FP32
    exported: Path | None = None

    def __str__(self) -> str:
        """Return ``openvino-bf16``, the engine only for fp32, or the name of an exported model."""
        if self.exported is not None:
            return self.exported.name
        tail = "" if self.precision is Precision.FP32 else f"-{self.precision}"
        return f"{self.engine}{tail}"

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Return the variant of ``openvino-bf16``, ``torch`` or ``model.onnx``.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        path = Path(text.strip())
        if text.strip() and (path.suffix.lower() in EXPORTED_SUFFIXES or path.is_dir()):
            return cls(exported=path)
        engine, _, precision = text.strip().lower().partition("-")
        if engine in list(EngineName) and (precision or Precision.FP32) in list(Precision):
            return cls(EngineName(engine), Precision(precision or Precision.FP32))
        raise usage_error(
            f"--compare: unknown {text.strip()!r}",
            f"Give ENGINE-PRECISION ({', '.join(EngineName)}; {', '.join(Precision)}), or an exported model.",
        )


def parse_variants(text: str) -> tuple[Variant, ...]:
    """Return the variants of ``--compare``.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    return tuple(Variant.parse(part) for part in text.split(","))
