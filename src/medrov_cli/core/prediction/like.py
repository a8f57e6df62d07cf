"""Classes by example: the mean region embedding of some boxes, without a fit."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.engines.interface import RegionEngine
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.prediction.embedding_space import EmbeddingSpace, Vector
from medrov_cli.core.prediction.example_anchors import assign_anchors
from medrov_cli.core.prediction.learned_classes import LearnedClasses
from medrov_cli.core.prediction.like_views import views_of_examples
from medrov_cli.core.prediction.model_file import ModelFile, WeightsFile
from medrov_cli.core.prediction.open_predictor import guiding_classes
from medrov_cli.core.prediction.tile_rule import ClassScale
from medrov_cli.core.records.boxes import BoolArray, FloatArray, IntArray
from medrov_cli.core.records.frame import Float32Array, Frame
from medrov_cli.core.records.regions import RegionColumns, centres_of
from medrov_cli.core.records.score_maps import ClassCalibration
from medrov_cli.core.settings.groups import DEFAULT_CONF, RuntimeSettings
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.like_example import LikeExample
from medrov_cli.core.settings.tile_groups import TileJob
from medrov_cli.core.weights import container

EXAMPLE_SCORE, BACKGROUND_SCORE = 0.9, 0.1
"""Raw scores of an example, and of the most similar background of its image. They lie on both sides of the
threshold, which is that of free text."""


@dataclass(frozen=True, slots=True, eq=False)
class _Anchors:
    """Region vectors of the images of one class: positive ones, and background."""

    vectors: Float32Array
    levels: IntArray
    positive: BoolArray


@dataclass(frozen=True, slots=True)
class LikeRules:
    """How a run shows an image to the network: examples are shown in the same way.

    Attributes
    ----------
    read
        Settings of reading files.
    tiles
        Tiles of large images.
    scales
        Scale at training of each class of the run.
    """

    read: ReadSettings
    tiles: TileJob
    scales: tuple[ClassScale, ...]


def learn_like(
    file: ModelFile, examples: Sequence[LikeExample], runtime: RuntimeSettings, rules: LikeRules
) -> LearnedClasses | None:
    """Return one class for each name of the examples; null without an example.

    Raises
    ------
    MedrovError
        ``USAGE`` for an exported model, or a box outside its image; the input error of an image, with its
        path.
    """
    if not examples:
        return None
    if not isinstance(file, WeightsFile):
        raise usage_error(
            f"--like: {file.path.name} is an exported model, without region vectors",
            "Give the .safetensors weights.",
        )
    imgsz = runtime.imgsz or file.imgsz
    engine = file.open(guiding_classes(file).embeddings, runtime, imgsz=imgsz, streams=1)
    space = EmbeddingSpace.from_tensors(container.load_tensors(file.path))
    names = list(dict.fromkeys(example.name for example in examples))
    frames = {example.path: _first_frame(example.path, rules.read) for example in examples}
    vectors = [
        _vector(space, _anchors(engine, frames, [own for own in examples if own.name == name], rules))
        for name in names
    ]
    columns = RegionColumns(
        np.stack([vector.kernel for vector in vectors], 1).astype(np.float32),
        np.stack([vector.constant for vector in vectors], 1).astype(np.float32),
        np.arange(len(names)),
    )
    digest = hashlib.sha256(columns.kernels.tobytes() + columns.constants.tobytes()).hexdigest()
    calibrations = tuple(ClassCalibration(name, DEFAULT_CONF, 0.0, (0.0, 1.0), (0.0, 1.0)) for name in names)
    return LearnedClasses(tuple(names), columns, calibrations, digest, ("--like",) * len(names))


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Raise the input error of an image with its path."""
    try:
        yield
    except MedrovError as error:
        if not error.is_input_error:
            raise
        raise MedrovError(error.code, f"--like {path}: {error.message}", error.hint) from error


def _first_frame(path: Path, read: ReadSettings) -> Frame:
    with _named_errors(path):
        return next(iter(read_frames(str(path), replace(read, by_region=True))))


def _anchors(
    engine: RegionEngine, frames: Mapping[Path, Frame], examples: Sequence[LikeExample], rules: LikeRules
) -> _Anchors:
    """Return the anchors of the examples of one class; boxes of one image are taken together."""
    centres = centres_of(engine.imgsz)
    parts: list[tuple[Float32Array, IntArray, BoolArray]] = []
    for path in dict.fromkeys(example.path for example in examples):
        frame = frames[path]
        boxes = np.array([_inside(own, frame) for own in examples if own.path == path])
        with _named_errors(path):
            views = list(views_of_examples(frame, boxes, engine.imgsz, rules.scales, rules.tiles))
        for view in views:
            (regions,) = engine.regions(view.input_rgb[None])
            targets, is_ignored = assign_anchors(
                regions.boxes_xyxy, view.truth_xyxy, view.ignored_xyxy, centres
            )
            kept = ~is_ignored
            parts.append((regions.vectors[kept], regions.levels[kept], targets[kept] > 0))
    return _Anchors(*(np.concatenate(own) for own in zip(*parts, strict=True)))


def _inside(example: LikeExample, frame: Frame) -> FloatArray:
    left, top, right, bottom = example.box_xyxy
    box = np.array([max(left, 0), max(top, 0), min(right, frame.width), min(bottom, frame.height)])
    if box[2] <= box[0] or box[3] <= box[1]:
        raise usage_error(
            f"--like {example}: the box is outside its image of {frame.width} x {frame.height} pixels",
            "Give left,top,right,bottom in pixels of the image.",
        )
    return box


def _vector(space: EmbeddingSpace, anchors: _Anchors) -> Vector:
    """Return the vector of a class, scaled so that examples and background have the scores above."""
    weights = np.ones(len(anchors.levels))
    vector = space.vector(space.direction(anchors.vectors, anchors.levels, weights, anchors.positive))
    logits = (vector.kernel[anchors.levels] * anchors.vectors).sum(1) + vector.constant[anchors.levels]
    example = float(logits[anchors.positive].mean())
    others = logits[~anchors.positive]
    background = float(others.max()) if len(others) else example
    high, low = _logit(EXAMPLE_SCORE), _logit(BACKGROUND_SCORE)
    scale = (high - low) / max(example - background, 0.1 * abs(example) + 1e-6)
    return Vector(vector.kernel * scale, (vector.constant - example) * scale + high)


def _logit(score: float) -> float:
    return math.log(score / (1 - score))
