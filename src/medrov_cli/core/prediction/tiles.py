"""Images that are searched in tiles: their plan, and their detections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.prediction.kind_rule import KindRule
from medrov_cli.core.prediction.open_predictor import PredictorParts
from medrov_cli.core.prediction.prepared import TiledFrame
from medrov_cli.core.prediction.selection import per_class
from medrov_cli.core.prediction.tile_rule import ClassScale
from medrov_cli.core.prediction.tile_search import TileJournal, TileSteps, search_tiles
from medrov_cli.core.prediction.tile_windows import choose_plan
from medrov_cli.core.records.boxes import FloatArray, IntArray, clip_boxes
from medrov_cli.core.records.detections import Candidates, ClassCandidates, Detections
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox


@dataclass(frozen=True)
class TileSearch:
    """Search of images in tiles by the engine of a predictor.

    Attributes
    ----------
    parts
        Parts of the predictor.
    kind_rule
        Rule of the classes that count for an image.
    infer
        Function of model inputs, uint8, (n, side, side, 3), to the candidates of each.
    parallel_calls
        Number of threads that may call ``infer`` at a time.
    """

    parts: PredictorParts
    kind_rule: KindRule
    infer: Callable[[UInt8Array], Sequence[Candidates | ClassCandidates]]
    parallel_calls: int = 1

    def plan(self, frame: Frame) -> TiledFrame | None:
        """Return a frame with its tiles; null if it is searched whole.

        Raises
        ------
        MedrovError
            ``BAD_METADATA`` if the settings of tiles do not fit the image.
        """
        parts = self.parts
        if parts.tiles is None:
            return None
        scales = parts.scales or (ClassScale(),) * len(parts.classes.names)
        may_widen = parts.open_wide is not None
        plan = choose_plan(frame, parts.engine.imgsz, scales, parts.tiles, may_widen=may_widen)
        if plan is None:
            return None
        return TiledFrame(replace(frame, warnings=frame.warnings + parts.scoring.warnings), plan)

    def run(
        self, item: TiledFrame, *, threads: int, keep_pixels: bool = False, journal: TileJournal | None = None
    ) -> Detections:
        """Return the detections of an image.

        Its kind is that of the mean of its finest tiles: pooled features are means over pixels. The largest
        number of detections holds for each tile; larger tiles have accordingly more.

        Raises
        ------
        MedrovError
            An input code, if a tile cannot be read.
        """
        parts = self.parts
        selection, scoring = parts.selection, parts.scoring
        every = np.arange(len(parts.classes.names))
        of_tile = replace(scoring, box_maps=None)  # an inner edge may cut a box: objects are mapped

        def select(candidates: Candidates | ClassCandidates, letterbox: Letterbox) -> Detections:
            learned, iou = parts.classes.learned, selection.iou
            most = round(selection.max_det * (letterbox.size / parts.engine.imgsz) ** 2)
            return per_class(candidates, letterbox, of_tile, every, learned, iou=iou, max_det=most)

        def map_boxes(boxes: FloatArray, labels: IntArray, scales: FloatArray) -> FloatArray:
            mapped = scoring.mapped(boxes, labels, scales * parts.engine.imgsz)
            return clip_boxes(mapped, item.frame.height, item.frame.width)

        def choose_batch(side: int) -> int:
            return parts.batch if side == parts.engine.imgsz else parts.wide_batch(side)

        calls = self.parallel_calls
        steps = TileSteps(self.infer, select, selection.iou, choose_batch, threads, calls, map_boxes)
        results = search_tiles(item, steps, journal)
        square = Letterbox.fit((1, 1), parts.engine.imgsz)
        frame, kind, columns = self.kind_rule.apply(item.frame, square, results.pooled)
        found = results.objects
        found = found.subset(scoring.distinct(found.boxes_xyxy, found.scores, found.labels))
        found = found.subset(np.isin(found.labels, columns))
        return replace(
            found,
            classes=parts.classes.names,
            frame=frame if keep_pixels else frame.without_pixels(),
            kind=kind,
            tiling=results.tiling,
            model=parts.identity,
            elapsed_ms=results.elapsed_ms,
        )
