"""All settings of a benchmark, and which of them contradict each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS, EXPORTED_SUFFIXES
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.values import check_device, check_imgsz

IMAGES = 90
"""Images of a round: ten of each modality."""

ROUNDS = 5
"""Rounds where neither their number nor a time is given."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What runs the network, and in which number format; or a model of ``medrov export``."""

    engine: EngineName = EngineName.AUTO
    precision: Precision = Precision.FP32
    exported: Path | None = None

    def __str__(self) -> str:
        """Return ``openvino-bf16``, the engine alone for fp32, or the name of an exported model."""
        if self.exported is not None:
            return self.exported.name
        tail = "" if self.precision is Precision.FP32 else f"-{self.precision}"
        return f"{self.engine}{tail}"

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Return what ``openvino-bf16``, ``torch`` or ``model.onnx`` names.

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
        raise _usage(
            f"--compare does not know {text.strip()!r}",
            f"Give ENGINE-PRECISION ({', '.join(EngineName)}; {', '.join(Precision)}), or an exported model.",
        )


@dataclass(frozen=True, slots=True)
class BenchmarkConfig:
    """All settings of a run.

    Attributes
    ----------
    inputs
        Files, folders, patterns; empty: synthetic phantoms of nine modalities.
    fps
        Time one engine.
    compare
        Time these side by side; the first is what the others are compared with.
    memory
        Images of a run whose memory is watched; null: none.
    images
        Images of a round; files are taken again where there are fewer.
    rounds, seconds
        So many rounds, or as many as fill this time; null: the default number.
    weights, imgsz, device, variant, batch
        What is timed. ``batch`` null: as ``detect`` chooses it.
    classes
        Number of made-up classes; null: the vocabulary of the weights.
    """

    inputs: tuple[str, ...] = ()
    fps: bool = False
    compare: tuple[Variant, ...] = ()
    memory: int | None = None
    images: int = IMAGES
    rounds: int | None = None
    seconds: float | None = None
    weights: str = DEFAULT_WEIGHTS
    imgsz: int | None = None
    device: str = "auto"
    variant: Variant = field(default_factory=Variant)
    batch: int | None = None
    classes: int | None = None

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Return what is timed side by side."""
        return self.compare or (self.variant,)

    @property
    def times_engines(self) -> bool:
        """Tell whether engines are timed: asked for, or nothing else is asked for."""
        return self.fps or bool(self.compare) or self.memory is None

    @property
    def rounds_or_default(self) -> int | None:
        """Return the number of rounds; null where a time is given in its place."""
        return None if self.seconds is not None else self.rounds or ROUNDS

    def check(self) -> None:
        """Refuse bad values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        if self.rounds is not None and self.seconds is not None:
            raise _usage("--rounds and --seconds contradict each other", "Give one of them.")
        for name, value in (
            ("--images", self.images),
            ("--rounds", self.rounds),
            ("--batch", self.batch),
            ("--classes", self.classes),
        ):
            if value is not None and value < 1:
                raise _usage(f"{name} {value} is below 1", "Give a whole number from 1.")
        if self.seconds is not None and not self.seconds > 0:
            raise _usage(f"--seconds {self.seconds:g} is not above 0", "Give a time in seconds.")
        if self.memory is not None and self.memory < 2:
            raise _usage(f"--memory {self.memory} is below 2", "Give the number of images, 5000 for example.")
        if self.imgsz is not None:
            check_imgsz(self.imgsz)
        check_device(self.device)
        self._check_comparison()

    def settings(self, imgsz: int, classes: int, files: int) -> dict[str, Any]:
        """Return the ``settings`` object of the document."""
        return {
            "device": self.device,
            "imgsz": imgsz,
            "batch": self.batch,
            "classes": classes,
            "classes_from": "weights" if self.classes is None else "made_up",
            "images_from": "files" if self.inputs else "phantoms",
            "files": files,
            "images": self.images,
            "rounds": self.rounds_or_default,
            "seconds": self.seconds,
        }

    def _check_comparison(self) -> None:
        if not self.compare:
            return
        if self.variant != Variant():
            raise _usage("--compare names the engines: --engine and --precision contradict it", "Leave them.")
        if len(set(self.compare)) < max(2, len(self.compare)):
            raise _usage(
                "--compare needs at least two engines, each once", "Example: --compare openvino,torch"
            )


def _usage(message: str, hint: str) -> MedrovError:
    return MedrovError(ErrorCode.USAGE, message, hint)
