"""All settings of an evaluation, and which of them contradict each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.choices import EngineName, Precision, Split
from medrov_cli.core.settings.groups import SelectionConfig
from medrov_cli.core.settings.values import HitRule, check_device, check_imgsz

CalibrationMethod = Literal["isotonic", "platt"]


@dataclass(frozen=True, slots=True)
class EvalConfig:
    """All settings of a run.

    Attributes
    ----------
    dataset
        Dataset yaml.
    data_root
        Folder of the sources, in place of the yaml's own ``root``.
    split
        Which images.
    weights
        Name in the manifest, a ``.safetensors`` file, or a model of ``medrov export``.
    predictions
        A COCO result file to score, in place of a detector's run.
    output
        Folder of the report; null: nothing is written.
    imgsz
        Side of the square model input, in pixels; that of the weights where null.
    device, engine, precision
        Where and how the network runs.
    text_encoder
        Spec of the text encoder; that of the weights where null.
    selection
        Which detections take part.
    plain
        Every class counts on every image, whatever the presence table says.
    hit
        When FROC counts a hit.
    bootstrap
        Samples of the intervals; 0 leaves them out.
    seed
        Of the bootstrap.
    synonyms
        Also ask for every class by each of its other names.
    compare
        ``report.json`` of another run on the same images.
    fit
        Weights file to write, with score calibration and operating points from these images.
    calibration
        How scores are calibrated for ``fit``.
    absent_limit
        For ``fit``: at most so many false positives of absent classes an image, of patients that
        the thresholds were not fitted on; null: no limit.
    verify
        Compute AP once more with pycocotools, and fail if it differs.
    export_truth
        Write the split's truth as one COCO file, and do nothing else.
    resume, overwrite
        What to do with an earlier run in ``output``.
    offline
        Forbid every use of the network.
    """

    dataset: Path
    data_root: Path | None = None
    split: Split = "test"
    weights: str = DEFAULT_WEIGHTS
    predictions: Path | None = None
    output: Path | None = None
    imgsz: int | None = None
    device: str = "auto"
    engine: EngineName = EngineName.AUTO
    precision: Precision = Precision.FP32
    text_encoder: str | None = None
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    plain: bool = False
    hit: HitRule = field(default_factory=HitRule)
    bootstrap: int = 1000
    seed: int = 0
    synonyms: bool = False
    compare: Path | None = None
    fit: Path | None = None
    calibration: CalibrationMethod = "platt"
    absent_limit: float | None = None
    verify: bool = False
    export_truth: Path | None = None
    resume: bool = False
    overwrite: bool = False
    offline: bool = False

    def check(self) -> None:
        """Refuse bad values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        if self.imgsz is not None:
            check_imgsz(self.imgsz)
        check_device(self.device)
        for name, value in (("--conf", self.selection.conf), ("--iou", self.selection.iou)):
            if not 0 <= value <= 1:
                raise usage(f"{name} {value:g} is not from 0 to 1", "Leave it out for the usual protocol.")
        if self.predictions is not None:
            for flag, is_given in (("--synonyms", self.synonyms), ("--fit", self.fit is not None)):
                if is_given:
                    raise usage(f"{flag} needs a detector, not --predictions", "Give --weights.")
        if self.absent_limit is not None and self.fit is None:
            raise usage("--absent-limit belongs to --fit", "Add --fit FILE, or leave it out.")
        if self.fit is not None and self.split == "test":
            raise usage(
                "--fit on the test split would tune the detector on the images that judge it",
                "Add --split val.",
            )
        self._check_folder()

    def _check_folder(self) -> None:
        if self.resume and self.overwrite:
            raise usage("--resume and --overwrite contradict each other", "Give one of them.")
        if self.output is None and (self.resume or self.overwrite):
            flag = "--resume" if self.resume else "--overwrite"
            raise usage(f"{flag} needs --output", "Without a folder there is no earlier run.")
        if self.output is not None and self.output.exists() and not self.output.is_dir():
            raise usage(f"--output {self.output} is a file", "Give a folder.")

    def settings(self) -> dict[str, Any]:
        """Return what can change a figure, for the report."""
        return {
            "conf": self.selection.conf,
            "iou": self.selection.iou,
            "max_det": self.selection.max_det,
            "protocol": "plain" if self.plain else "presence",
            "hit": str(self.hit),
            "bootstrap": self.bootstrap,
            "seed": self.seed,
            "synonyms": self.synonyms,
            "precision": self.precision.value,
        }


def parse_hit(text: str) -> HitRule:
    """Return the hit rule that ``--hit`` names.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    try:
        return HitRule.parse(text)
    except ValueError as error:
        raise usage(f"--hit {text!r} is not a rule", "Give centre, or iou:X with X up to 1.") from error


def usage(message: str, hint: str) -> MedrovError:
    """Return the error of an option."""
    return MedrovError(ErrorCode.USAGE, message, hint)
