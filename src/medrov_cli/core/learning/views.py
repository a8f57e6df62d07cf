"""Views of the examples: region vectors of every image, computed once for all fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.datasets.laterality import mirror_rows
from medrov_cli.core.engines.interface import RegionEngine
from medrov_cli.core.learning.example_squares import apply_gamma
from medrov_cli.core.learning.examples import ExampleImage
from medrov_cli.core.records.boxes import BoolArray, FloatArray, IntArray, flip_boxes
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox

FEW_IMAGES = 40
"""Number of images up to which each has a mirrored and a smaller view, too."""

SMALLER = 0.8
"""Scale of the smaller view."""

GAMMA = 0.8
"""Exponent of the grey levels of the smaller view."""


@dataclass(frozen=True, slots=True, eq=False)
class ExampleView:
    """One view of an example image, in model pixels.

    Attributes
    ----------
    image
        Row of the image.
    boxes_xyxy, vectors
        Boxes, float32, (anchors, 4), and region vectors, float16, (anchors, c), at all anchors.
    truth_xyxy, labels
        Examples, float, (n, 4), and int64, (n,), rows of the classes.
    ignored_xyxy
        Regions that are neither examples nor background, (k, 4).
    is_annotated
        See :class:`medrov_cli.core.learning.examples.ExampleImage`.
    """

    image: int
    boxes_xyxy: Float32Array
    vectors: npt.NDArray[np.float16]
    truth_xyxy: FloatArray
    labels: IntArray
    ignored_xyxy: FloatArray
    is_annotated: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class ViewSet:
    """Views of all images.

    Attributes
    ----------
    plain
        The image as in ``detect``, one for each readable image.
    others
        Mirrored and smaller views.
    failures
        Images that could not be read.
    """

    plain: tuple[ExampleView, ...]
    others: tuple[ExampleView, ...]
    failures: tuple[tuple[str, MedrovError], ...]

    def of_images(self, images: set[int]) -> list[ExampleView]:
        """Return all views of some images."""
        return [view for view in (*self.plain, *self.others) if view.image in images]


Change = Callable[[UInt8Array], UInt8Array]


def compute_views(
    engine: RegionEngine,
    images: Sequence[ExampleImage],
    classes: tuple[str, ...],
    progress: Progress,
    *,
    plain: bool = False,
) -> ViewSet:
    """Return the views of images; one that cannot be read is a failure.

    Parameters
    ----------
    engine
        Engine of the network, guided by the vocabulary.
    images
        The images.
    classes
        Names of the classes: a mirrored view exchanges left and right.
    progress
        Called with the number of images.
    plain
        Whether only the plain views are computed.
    """
    mirrored = None if plain or len(images) > FEW_IMAGES else mirror_rows(classes)
    firsts: list[ExampleView] = []
    others: list[ExampleView] = []
    failures: list[tuple[str, MedrovError]] = []
    for row, image in enumerate(images):
        progress(row, len(images), "examples")
        try:
            pixels = image.read()
        except MedrovError as error:
            if not error.is_input_error:
                raise
            failures.append((image.path, error))
            continue
        first, *more = _views_of(engine, image, pixels, row, mirrored)
        firsts.append(first)
        others += more
    progress(len(images), len(images), "examples")
    return ViewSet(tuple(firsts), tuple(others), tuple(failures))


def _views_of(
    engine: RegionEngine, image: ExampleImage, pixels: UInt8Array, row: int, mirrored: IntArray | None
) -> list[ExampleView]:
    """Return the plain view; with ``mirrored``, the rows of the mirrored classes, also the others."""
    size = engine.imgsz
    box = Letterbox.fit((pixels.shape[0], pixels.shape[1]), size)
    square, truth, ignored = (
        box.apply(pixels),
        box.to_model(image.boxes_xyxy),
        box.to_model(image.ignored_xyxy),
    )
    squares = [square]
    made: list[tuple[FloatArray, IntArray, FloatArray, BoolArray]] = [
        (truth, image.labels, ignored, image.is_annotated)
    ]
    if mirrored is not None and (mirrored >= 0).all():
        squares.append(np.ascontiguousarray(square[:, ::-1]))
        flipped = [flip_boxes(boxes, size) for boxes in (truth, ignored)]
        made.append((flipped[0], mirrored[image.labels], flipped[1], image.is_annotated[mirrored]))
    if mirrored is not None:
        smaller = _smaller(box)
        squares.append(smaller.apply(apply_gamma(pixels, GAMMA)))
        shrunk = [smaller.to_model(boxes) for boxes in (image.boxes_xyxy, image.ignored_xyxy)]
        made.append((shrunk[0], image.labels, shrunk[1], image.is_annotated))
    return [
        ExampleView(row, found.boxes_xyxy, found.vectors.astype(np.float16), *own)
        for found, own in zip(engine.regions(np.stack(squares)), made, strict=True)
    ]


def _smaller(box: Letterbox) -> Letterbox:
    height, width = (max(1, round(side * SMALLER)) for side in box.content_hw)
    rows, columns = box.input_hw
    return Letterbox(
        box.source_hw, box.input_hw, (height, width), ((rows - height) // 2, (columns - width) // 2)
    )
