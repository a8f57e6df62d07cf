"""All settings of pseudo-labelling a dataset, and which of them contradict each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS, GRID
from medrov_cli.core.settings.choices import SPLITS, EngineName, Precision, Split
from medrov_cli.core.settings.detect import Shard
from medrov_cli.core.settings.evaluate import usage
from medrov_cli.core.settings.proposals import PseudoLabelConfig
from medrov_cli.core.settings.values import check_device, check_imgsz

AGREE_IOU = 0.5
"""Two views see the same object if their boxes of one class overlap by this IoU (PASCAL VOC's hit)."""

_PAPER = PseudoLabelConfig()


@dataclass(frozen=True, slots=True)
class OfflineRule:
    """When a proposal becomes a label. The defaults are MedROV's (arXiv 2511.20650), with one view.

    Attributes
    ----------
    score
        A proposal needs at least this.
    calibrated
        ``score`` and what is written are calibrated scores, so that each class has its own raw one.
    nms_iou
        Of two proposals that overlap more than this the better stays, whatever the classes.
    max_truth_iou
        A proposal that overlaps an annotated box by this IoU or more is dropped.
    flip
        Look at the mirror image, too.
    scales
        Sides of the model input, as shares of the usual one.
    agree
        So many views must see an object; null: all that can.
    """

    score: float = _PAPER.min_score
    calibrated: bool = False
    nms_iou: float = _PAPER.nms_iou
    max_truth_iou: float = _PAPER.max_truth_iou
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    agree: int | None = None

    def check(self, weights: int) -> None:
        """Refuse bad values, for a number of weights.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        for name, value in (
            ("--score", self.score),
            ("--nms-iou", self.nms_iou),
            ("--truth-iou", self.max_truth_iou),
        ):
            if not 0 <= value <= 1:
                raise usage(f"{name} {value:g} is not from 0 to 1", "Leave it out for the paper's value.")
        if not self.scales or any(not 0.1 <= scale <= 4 for scale in self.scales):
            raise usage("--scales are not from 0.1 to 4", "Give numbers with commas: 0.8,1.0,1.25.")
        views = weights * len(self.scales) * (1 + self.flip)
        if self.agree is not None and not 1 <= self.agree <= views:
            raise usage(
                f"--agree {self.agree} is not from 1 to {views}, the number of views",
                "Each of --weights looks at each of --scales, with --flip twice.",
            )

    def sides(self, imgsz: int) -> list[int]:
        """Return the sides of the model input, multiples of 32, from the usual one.

        Raises
        ------
        MedrovError
            ``USAGE``: two scales give the same side, or one gives a side that cannot be.
        """
        sides = [round(imgsz * scale / GRID) * GRID for scale in self.scales]
        if len(set(sides)) < len(sides):
            raise usage(
                f"--scales: two of them give the same side at {imgsz} pixels: {', '.join(map(str, sides))}",
                "Sides are multiples of 32: give scales that are further apart.",
            )
        for side in sides:
            check_imgsz(side)
        return sides


@dataclass(frozen=True, slots=True)
class OfflineConfig:
    """All settings of a run.

    Attributes
    ----------
    dataset
        Dataset yaml.
    data_root
        Folder of the sources, in place of the yaml's own ``root``.
    presence
        Presence table, or ``omnis``, in place of the yaml's own.
    splits
        Which images get labels.
    weights
        Names in the manifest, ``.safetensors`` files, or models of ``medrov export``.
    output
        Folder of the new dataset; null in a dry run alone.
    rule
        When a proposal becomes a label.
    imgsz
        Side of the square model input, in pixels; that of each weights file where null.
    device, engine, precision
        Where and how the network runs.
    text_encoder
        Spec of the text encoder; that of each weights file where null.
    batch
        Images a forward pass.
    threads
        Files that are read at once.
    shard
        Which part of the images; null for all.
    dry_run
        Count, and write nothing.
    review
        HTML page to write, for people to decide on each label.
    resume, overwrite
        What to do with an earlier run in ``output``.
    offline
        Forbid every use of the network.
    """

    dataset: Path
    output: Path | None = None
    data_root: Path | None = None
    presence: str | None = None
    splits: tuple[Split, ...] = ("train",)
    weights: tuple[str, ...] = (DEFAULT_WEIGHTS,)
    rule: OfflineRule = field(default_factory=OfflineRule)
    imgsz: int | None = None
    device: str = "auto"
    engine: EngineName = EngineName.AUTO
    precision: Precision = Precision.FP32
    text_encoder: str | None = None
    batch: int = 8
    threads: int = 4
    shard: Shard | None = None
    dry_run: bool = False
    review: Path | None = None
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
        if not self.weights or len(set(self.weights)) < len(self.weights):
            raise usage("--weights: the same weights are given twice", "Give different ones, or one alone.")
        self.rule.check(len(self.weights))
        if self.imgsz is not None:
            check_imgsz(self.imgsz)
        check_device(self.device)
        if self.resume and self.overwrite:
            raise usage("--resume and --overwrite contradict each other", "Give one of them.")
        if self.output is None and not self.dry_run:
            raise usage("--output is missing", "Give a folder for the new dataset, or --dry-run.")
        if self.output is not None and self.output.exists() and not self.output.is_dir():
            raise usage(f"--output {self.output} is a file", "Give a folder.")
        if self.dry_run:
            self._check_dry_run()

    def _check_dry_run(self) -> None:
        for flag, is_given in (
            ("--shard", self.shard is not None),
            ("--resume", self.resume),
            ("--review", self.review is not None),
        ):
            if is_given:
                raise usage(f"{flag} and --dry-run contradict each other", "A dry run writes nothing.")


def rule_record(rule: OfflineRule, views: int) -> dict[str, Any]:
    """Return a rule as each label carries it."""
    record = {
        "score": rule.score,
        "scores": "calibrated" if rule.calibrated else "raw",
        "nms_iou": rule.nms_iou,
        "truth_iou": rule.max_truth_iou,
    }
    if views > 1:
        record |= {"views": views, "agree": rule.agree or views, "agree_iou": AGREE_IOU}
    return record


def parse_scales(text: str) -> tuple[float, ...]:
    """Return the scales that ``--scales`` names.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise usage(f"--scales {text!r} is no list of numbers", "Write 0.8,1.0,1.25.") from error


def parse_splits(text: str) -> tuple[Split, ...]:
    """Return the splits that ``--splits`` names, each once, in the usual order.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    given = {part.strip() for part in text.split(",")}
    if unknown := sorted(given - set(SPLITS)):
        raise usage(f"--splits: {unknown[0]!r} is no split", "Give train, val or test; several with commas.")
    return tuple(split for split in SPLITS if split in given)
