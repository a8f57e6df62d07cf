"""Several views of an image (weights, sizes, mirror images), and their vote."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.datasets.laterality import mirror_rows
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.prediction.image_sources import Image
from medrov_cli.core.prediction.predictor import THREADS, Predictor
from medrov_cli.core.prediction.prepared import apply_letterbox, stack_arrays
from medrov_cli.core.prediction.selection import one_per_object, suppress_over_classes
from medrov_cli.core.prediction.stream import BatchBy, OnFailure, Stages, run_stream
from medrov_cli.core.records.boxes import IntArray, iou_matrix
from medrov_cli.core.records.detections import Candidates, Detections, Failure
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.settings.groups import SelectionSettings
from medrov_cli.core.settings.label_rule import AGREE_IOU, LabelRule


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One predictor on an image or on its mirror image.

    Attributes
    ----------
    predictor
        The network, for one side of its input.
    class_ids
        int64, (columns,): class of each column in the image; -1: none.
    is_mirrored
        Whether the input is the mirror image.
    """

    predictor: Predictor
    class_ids: IntArray
    is_mirrored: bool = False

    @property
    def side(self) -> int:
        """Return the side of the square model input, in pixels."""
        return self.predictor.engine.imgsz


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A frame after the letterbox for each input size of the views."""

    frame: Frame
    by_side: dict[int, tuple[Letterbox, UInt8Array]]


class Ensemble:
    """Detector of one object per place, by the vote of several views.

    Parameters
    ----------
    views
        At least one.
    rule
        IoU of the suppression, and the number of views that must agree.
    """

    def __init__(self, views: Sequence[View], rule: LabelRule) -> None:
        self._views = views
        self._rule = rule
        able = [view.class_ids[view.class_ids >= 0] for view in views]
        self._needed = count_needed_votes(rule.agree, able, len(views[0].class_ids))

    @classmethod
    def open(
        cls,
        models: Sequence[DatasetModel],
        given: Sequence[str],
        names: Sequence[Sequence[str]],
        rule: LabelRule,
    ) -> Ensemble:
        """Open each model for each size and mirroring of a rule.

        Parameters
        ----------
        models
            Models with the classes of one dataset. All its classes are searched: an annotated class can
            have the highest score at a place.
        given
            Names of the models in the settings, for messages.
        names
            Texts of each class whose embeddings are averaged.
        rule
            Lowest score, sizes, mirror images.

        Raises
        ------
        MedrovError
            ``USAGE``: weights without a calibration; the codes of model files and text encoders.
        """
        selection = SelectionSettings(conf=rule.score, raw_scores=not rule.calibrated)
        views = []
        for model, name in zip(models, given, strict=True):
            if rule.calibrated and model.file.metadata.calibration is None:
                raise usage_error(
                    f"--calibrated: the weights {name} contain no calibration",
                    "Fit a calibration with 'medrov eval --fit', or leave --calibrated out.",
                )
            mirrored = np.where(model.class_ids >= 0, mirror_rows(model.classes), -1)
            for side in rule.sides(model.imgsz):
                predictor = model.open(names, selection, imgsz=side)
                views.append(View(predictor, model.class_ids))
                if rule.flip:
                    views.append(View(predictor, mirrored, is_mirrored=True))
        return cls(views, rule)

    def stream(
        self,
        images: Iterable[Image],
        *,
        batch: int,
        threads: int = THREADS,
        on_failure: OnFailure = "record",
        batch_by: BatchBy = "position",
    ) -> Generator[Detections | Failure, None, None]:
        """Yield the result of each frame; see :meth:`medrov_cli.core.prediction.predictor.Predictor.stream`.

        Each image is read once, for all views.
        """
        stages = Stages(self._prepare, self._infer, self._finish)
        return run_stream(
            stages, images, batch=batch, threads=threads, on_failure=on_failure, batch_by=batch_by
        )

    def _prepare(self, frame: Frame) -> _Prepared:
        size = (frame.height, frame.width)
        boxes = {
            view.side: Letterbox.fit(size, view.side, rectangle=view.predictor.rectangles)
            for view in self._views
        }
        inputs = {side: (box, apply_letterbox(box, frame)) for side, box in boxes.items()}
        return _Prepared(frame.without_pixels(), inputs)

    def _infer(self, images: Sequence[_Prepared]) -> list[tuple[Candidates, ...]]:
        """Return the candidates of all views, image by image."""
        by_view = []
        for view in self._views:
            inputs = [image.by_side[view.side][1] for image in images]
            if view.is_mirrored:
                inputs = [own[:, ::-1] for own in inputs]
            by_view.append(view.predictor.infer_all_classes(stack_arrays(inputs)))
        return list(zip(*by_view, strict=True))

    def _finish(self, image: _Prepared, candidates: Sequence[Candidates], elapsed_ms: float) -> Detections:
        rule = self._rule
        by_view = [
            one_per_object(
                own,
                image.by_side[view.side][0],
                view.predictor.scoring,
                view.class_ids,
                is_mirrored=view.is_mirrored,
                iou=rule.nms_iou,
            )
            for view, own in zip(self._views, candidates, strict=True)
        ]
        found = by_view[0]
        if len(by_view) > 1:
            found = vote(by_view, self._needed, AGREE_IOU, rule.nms_iou)
        names = self._views[0].predictor.classes.names
        return replace(found, classes=names, frame=image.frame, elapsed_ms=elapsed_ms)


def vote(views: Sequence[Detections], needed: IntArray, agree_iou: float, nms_iou: float) -> Detections:
    """Return the detections that enough views share, one per object, highest score first.

    Parameters
    ----------
    views
        The detections of each view.
    needed
        int64, (classes,): the number of views that must have a box of the class with an IoU of at least
        ``agree_iou``; the view of the box is one of them.
    agree_iou, nms_iou
        Thresholds.
    """
    boxes = np.concatenate([view.boxes_xyxy for view in views])
    scores = np.concatenate([view.scores for view in views])
    labels = np.concatenate([view.labels for view in views])
    seen_by = np.repeat(np.arange(len(views)), [len(view) for view in views])
    same = (labels[:, None] == labels[None]) & (iou_matrix(boxes, boxes) >= agree_iou)
    np.fill_diagonal(same, True)  # the IoU of a box without an area with itself is 0
    votes = sum(same[:, seen_by == view].any(1).astype(np.int64) for view in range(len(views)))
    shared = votes >= needed[labels]
    return suppress_over_classes(boxes[shared], scores[shared], labels[shared], nms_iou)


def count_needed_votes(agree: int | None, able: Sequence[IntArray], class_count: int) -> IntArray:
    """Return the number of views that must find an object of each class, int64, (classes,), at least 1.

    Parameters
    ----------
    agree
        The number that is wanted; null: all.
    able
        For each view the classes that it can find. A mirror image cannot show the left one of a
        pair whose right one is no class: such a class needs no more votes than there can be.
    class_count
        Number of classes.
    """
    views = np.zeros(class_count, dtype=np.int64)
    for classes in able:
        views[np.unique(classes)] += 1
    return np.maximum(views if agree is None else np.minimum(views, agree), 1)
