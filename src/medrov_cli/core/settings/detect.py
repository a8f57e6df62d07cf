"""All settings of a detection run, and which of them contradict each other."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.choices import EngineName, Phi, Precision
from medrov_cli.core.settings.groups import ReadOptions
from medrov_cli.core.settings.values import check_device, check_imgsz

if TYPE_CHECKING:
    from medrov_cli.core.settings.values import Prompt

_SHARD = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of the inputs that one job of an array takes.

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
        """Return the shard that ``i/n`` names.

        Raises
        ------
        MedrovError
            ``USAGE`` unless 1 <= i <= n.
        """
        match = _SHARD.fullmatch(text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise _usage(
                f"--shard {text!r} is not i/n with 1 <= i <= n", "The second of four jobs is --shard 2/4."
            )
        return cls(int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class DetectConfig:
    """All settings of a run.

    Attributes
    ----------
    inputs
        Files, folders, patterns, ``-`` for a list on standard input.
    classes
        What to find; the vocabulary of the weights where none are given.
    weights
        Name in the manifest, or a ``.safetensors`` file.
    text_encoder
        Spec of the text encoder of ``classes``; that of the weights where null.
    conf
        Detections whose shown score is below this are left out; null: each class's operating point,
        0.25 where the weights have none.
    raw_scores
        Show scores as the network gives them, not calibrated.
    iou
        Of two boxes of a class that overlap more than this, the better stays (ultralytics').
    max_det
        Detections an image (ultralytics').
    imgsz
        Side of the square model input, in pixels; what the weights were trained with by default.
    read
        Grey-level window, slicing axis, limits.
    device, engine, precision
        Where and how the network runs.
    batch
        Images a forward pass; chosen by device where null.
    threads
        Files that are read at once.
    output, formats
        Folder of the results, and what to write there.
    resume, overwrite
        What to do with an earlier run in that folder.
    shard
        Which part of the inputs; null for all.
    strict
        Stop at the first input that fails.
    phi
        What of DICOM headers may leave the program.
    offline
        Forbid every use of the network.
    timings
        Write the time that each image took; without it, equal runs give equal bytes.
    """

    inputs: tuple[str, ...]
    classes: tuple[Prompt, ...] = ()
    weights: str = DEFAULT_WEIGHTS
    text_encoder: str | None = None
    conf: float | None = None
    raw_scores: bool = False
    iou: float = 0.7
    max_det: int = 300
    imgsz: int | None = None
    read: ReadOptions = field(default_factory=ReadOptions)
    device: str = "auto"
    engine: EngineName = EngineName.AUTO
    precision: Precision = Precision.FP32
    batch: int | None = None
    threads: int = 4
    output: Path | None = None
    formats: tuple[str, ...] = ("jsonl",)
    resume: bool = False
    overwrite: bool = False
    shard: Shard | None = None
    strict: bool = False
    phi: Phi = Phi.DROP
    offline: bool = False
    timings: bool = False

    def check(self) -> None:
        """Refuse bad values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        if self.conf is not None and not 0 <= self.conf <= 1:
            raise _usage(f"--conf {self.conf:g} is not from 0 to 1", "Leave it out for each class's own.")
        if not 0 <= self.iou <= 1:
            raise _usage(f"--iou {self.iou:g} is not from 0 to 1", "The default is 0.7.")
        for name, value in (
            ("--max-det", self.max_det),
            ("--batch", self.batch),
            ("--threads", self.threads),
        ):
            if value is not None and value < 1:
                raise _usage(f"{name} {value} is below 1", "Give a whole number from 1.")
        if self.imgsz is not None:
            check_imgsz(self.imgsz)
        check_device(self.device)
        if self.text_encoder is not None and not self.classes:
            raise _usage("--text-encoder needs --classes", "Name what to find.")
        if self.resume and self.overwrite:
            raise _usage("--resume and --overwrite contradict each other", "Give one of them.")
        if self.output is None:
            self._check_without_folder()
        elif self.output.exists() and not self.output.is_dir():
            raise _usage(f"--output {self.output} is a file", "Give a folder.")

    def settings(self) -> dict[str, Any]:
        """Return what can change a result, for ``run.json``."""
        return {
            "weights": self.weights,
            "conf": self.conf,
            "raw_scores": self.raw_scores,
            "iou": self.iou,
            "max_det": self.max_det,
            "window": str(self.read.window),
            "axis": self.read.axis,
            "precision": self.precision.value,
            "formats": sorted({"jsonl", *self.formats}),
            "shard": None if self.shard is None else str(self.shard),
            "phi": self.phi.value,
            "timings": self.timings,
        }

    def _check_without_folder(self) -> None:
        for flag, is_given in (("--resume", self.resume), ("--overwrite", self.overwrite)):
            if is_given:
                raise _usage(f"{flag} needs --output", "Without a folder there is no earlier run.")


def _usage(message: str, hint: str) -> MedrovError:
    return MedrovError(ErrorCode.USAGE, message, hint)
