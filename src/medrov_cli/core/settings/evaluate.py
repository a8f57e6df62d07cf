"""Settings of ``medrov eval``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import excludes, requires, usage_error
from medrov_cli.core.settings.choices import CalibrationMethod
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.cluster_groups import ClusterSettings
from medrov_cli.core.settings.field import check_ranges, given_flags, group, option, option_of
from medrov_cli.core.settings.groups import (
    COCO_BATCH,
    COCO_SELECTION,
    DATA_PANEL,
    LEARNED_HELP,
    MODEL_PANEL,
    OUTPUT_PANEL,
    ModelSettings,
    RuntimeSettings,
    SelectionSettings,
)
from medrov_cli.core.settings.io_groups import DatasetSettings, OutputSettings
from medrov_cli.core.settings.values import HitRule, parse_hit

RULES_PANEL = "Rules"

_RUNTIME = RuntimeSettings(batch=COCO_BATCH)

_NEED_A_DETECTOR = frozenset(
    {"--weights", "--text-encoder", "--learned", "--synonyms", "--fit", "--iou", "--literal"}
    | {"--device", "--engine", "--precision", "--imgsz", "--rectangles/--squares", "--batch"}
)
_NEED_A_FIT = ("--absent-limit", "--calibration")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """Settings of ``eval``; the order of the fields is that of the keys of the report's ``settings``.

    Attributes
    ----------
    weights
        Name in the manifest, a ``.safetensors`` file, or a model of ``medrov export``.
    data
        Dataset yaml and split.
    predictions
        COCO results to evaluate, instead of a detector.
    export_truth
        File for the ground truth of the split as one COCO document; nothing is evaluated.
    selection
        Selection of detections: raw scores and, as usual for COCO, nearly every candidate.
    plain
        Whether every class counts on every image, without the presence table.
    hit
        Rule of a hit in FROC.
    bootstrap
        Number of samples of the intervals; 0: no intervals.
    seed
        Seed of the bootstrap.
    synonyms
        Whether each class is also evaluated by each of its synonyms.
    verify
        Whether AP is also computed with pycocotools, with an error if it differs.
    fit
        Weights file to write, with score calibration and operating points from these images.
    calibration
        Calibration method of ``fit``.
    absent_limit
        For ``fit``: maximum number of false positives of absent classes per image, of patients outside the
        fit; null: no limit.
    text_encoder
        Specification of the text encoder; null: that of the weights.
    learned
        Files of learned classes, which replace the texts of their names.
    runtime
        Settings of the network.
    output
        Folder of the report; null: nothing is written.
    cluster
        Workers on several machines.
    compare
        ``report.json`` of another run on the same images.
    """

    weights: str = option_of(
        ModelSettings,
        "weights",
        help="Name from 'medrov weights list', .safetensors file, or model of 'medrov export'.",
        affects_result=False,
    )
    data: DatasetSettings = group(DatasetSettings)
    predictions: Path | None = option(
        "--predictions",
        default=None,
        before="--split",
        metavar="FILE",
        help="COCO results of another program to score, instead of a detector.",
        panel=DATA_PANEL,
    )
    export_truth: Path | None = option(
        "--export-truth",
        default=None,
        metavar="FILE",
        help="Write only the ground truth of the split as one COCO file.",
        panel=DATA_PANEL,
    )
    selection: SelectionSettings = group(
        COCO_SELECTION,
        omit=("raw_scores",),
        help={
            "conf": "Minimum score of a detection; of --predictions: none, unless another is given.",
            "iou": "IoU of the suppression within a class.",
            "max_det": "Maximum number of detections per image.",
        },
        panel=RULES_PANEL,
    )
    plain: bool = option(
        "--plain",
        default=False,
        help="Count all detections in all images, without the presence table.",
        panel=RULES_PANEL,
        affects_result=True,
        key="protocol",
        recorded="protocol",
    )
    hit: HitRule = option(
        "--hit",
        given_default="iou:0.5",
        parse=parse_hit,
        metavar="RULE",
        help="Hit rule of FROC: iou:X, or centre (distance below half the mean side).",
        panel=RULES_PANEL,
        affects_result=True,
    )
    bootstrap: int = option(
        "--bootstrap",
        default=1000,
        low=0,
        help="Bootstrap samples of the 95 % intervals; 0: no intervals.",
        panel=RULES_PANEL,
        affects_result=True,
    )
    seed: int = option(
        "--seed",
        default=0,
        low=0,
        help="Random seed of the bootstrap.",
        panel=RULES_PANEL,
        affects_result=True,
    )
    synonyms: bool = option(
        "--synonyms",
        default=False,
        help="Also evaluate each class by each of its synonyms.",
        panel=RULES_PANEL,
        affects_result=True,
    )
    verify: bool = option(
        "--verify",
        default=False,
        help="Also compute AP with pycocotools, and fail if it differs.",
        panel=RULES_PANEL,
    )
    fit: Path | None = option(
        "--fit",
        default=None,
        metavar="FILE",
        help="Weights file to write with calibration and class thresholds fitted on this split.",
        panel=MODEL_PANEL,
    )
    calibration: CalibrationMethod = option(
        "--calibration", default="platt", help="Calibration method of --fit.", panel=MODEL_PANEL
    )
    absent_limit: float | None = option(
        "--absent-limit",
        default=None,
        low=0,
        metavar="RATE",
        help="Maximum false positives of absent classes per image, for the thresholds of --fit.",
        panel=MODEL_PANEL,
    )
    text_encoder: str | None = option_of(ModelSettings, "text_encoder")
    learned: tuple[Path, ...] = option_of(ClassSettings, "learned", help=LEARNED_HELP, panel=MODEL_PANEL)
    runtime: RuntimeSettings = group(
        _RUNTIME, help={"batch": "Images per forward pass."}, metavar={"batch": None}
    )
    output: OutputSettings = group(OutputSettings())
    cluster: ClusterSettings = group(ClusterSettings())
    compare: Path | None = option(
        "--compare",
        default=None,
        before="--resume",
        metavar="REPORT",
        help="report.json of another run: report differences with intervals.",
        panel=OUTPUT_PANEL,
    )

    @property
    def protocol(self) -> str:
        """Return the name of the protocol: presence-aware or plain."""
        return "plain" if self.plain else "presence"

    @property
    def predictions_conf(self) -> float | None:
        """Return the minimum score of given predictions; null: all are scored."""
        return None if self.selection.conf == COCO_SELECTION.conf else self.selection.conf

    def check(self) -> None:
        """Refuse invalid values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        self.runtime.check()
        check_ranges(self)
        if self.predictions is not None:
            self._check_predictions()
        if self.fit is not None:
            self._check_fit(self.fit)
        else:
            for flag in given_flags(self):
                if flag in _NEED_A_FIT:
                    raise requires(flag, "--fit", "Add --fit FILE, or leave it out.")
        self.output.check()
        self.cluster.check(offline=self.runtime.offline, device=self.runtime.device)
        if self.cluster.on is not None and self.predictions is not None:
            raise excludes("--on", "--predictions", "Given predictions are scored in this process.")

    def _check_predictions(self) -> None:
        """Refuse the options of a detector, which have no effect on given predictions."""
        selection, runtime = given_flags(self.selection, COCO_SELECTION), given_flags(self.runtime, _RUNTIME)
        for flag in (*given_flags(self), *selection, *runtime):
            if flag in _NEED_A_DETECTOR:
                raise usage_error(f"{flag} needs a detector, not --predictions", "Leave one of them out.")

    def _check_fit(self, path: Path) -> None:
        """Refuse a file that would not be read as weights, and images that do not suit a fit."""
        if path.suffix.lower() != ".safetensors":
            raise usage_error(f"--fit {path} does not end in .safetensors", "Give such a name.")
        if self.learned:
            raise excludes("--fit", "--learned", "Learned classes have thresholds of their own.")
        if self.data.split == "test":
            raise usage_error(
                "--fit on the test split would fit thresholds on the images of the evaluation",
                "Add --split val.",
            )
