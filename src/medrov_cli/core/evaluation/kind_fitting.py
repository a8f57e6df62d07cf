"""Fit of image kinds: pooled features of a dataset's images and of images of no kind, then the classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.evaluation.kind_views import random_view
from medrov_cli.core.metrics.kind_fit import KindFeatures, fit_kind_tensors
from medrov_cli.core.phantoms.negatives import FORMS, negative_image
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.prediction.open_predictor import count_streams
from medrov_cli.core.prediction.prepared import stack_arrays
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.image_kinds import KINDS_VERSION, KindClassifier, KindsInfo
from medrov_cli.core.records.letterbox import PAD_VALUE, Letterbox
from medrov_cli.core.settings.choices import Split

IMAGES_A_SOURCE = 150
"""Images of the fit per source: more of a large source do not help other sources."""

VIEWS = 2
"""Random views of each image of the fit, beside it. Without them 73 % of the images of held-out sources of
omnis-mini had the right modality, with one of them 79 % (mean of sources)."""

NEGATIVES = 1600
"""Largest number of images of no kind, half of them for the calibration."""

LEAST_NEGATIVES = 160

_BATCH = 16

Image = tuple[UInt8Array, int]
"""Pixels, and the source; -1: of no kind."""


def fit_kinds(detector: DatasetModel, dataset: Dataset, split: Split, advance: Progress) -> KindClassifier:
    """Return a classifier of the dataset's kinds: fitted on its split ``train``, calibrated on another.

    Parameters
    ----------
    detector
        The weights, and where and how they run.
    dataset
        A dataset that states kinds.
    split
        Images of the calibration.
    advance
        Called with the images done, their total, and what is being done.

    Raises
    ------
    MedrovError
        ``NO_INPUT``: a source has no image in ``train``, or ``split`` no image.
    """
    train, val = _spread(dataset.samples["train"], len(dataset.sources)), dataset.samples[split]
    missing = sorted(set(dataset.kinds) - {dataset.kinds[sample.source_id] for sample in train})
    if missing or not val:
        raise MedrovError(
            ErrorCode.NO_INPUT,
            f"--fit: no image of kind {missing[0]!r} in the split 'train'" if missing else "--fit: no image",
            "Give the kind images in 'train', or remove its sources.",
        )
    half = min(max(len(train), LEAST_NEGATIVES), NEGATIVES) // 2
    total = (1 + VIEWS) * len(train) + 2 * len(val) + 2 * half + 1
    engine = detector.file.open(
        np.eye(1, TEXT_WIDTH, dtype=np.float32),  # the pooled features do not depend on the classes
        detector.runtime,
        imgsz=detector.imgsz,
        streams=count_streams(many=True),
    )
    reader = _FeatureReader(engine, total, advance, rectangles=detector.rectangles)
    padding = reader.read([(np.full((32, 32, 3), PAD_VALUE, dtype=np.uint8), -1)]).pooled[0]
    fitted = reader.read(_images(train, VIEWS, range(half)))
    calibrated = reader.read(_images(val, 1, range(half, 2 * half)))
    entries = dataset.kind_entries
    row_of = {entry.name: row for row, entry in enumerate(entries)}
    source_kinds = np.array([row_of[kind] for kind in dataset.kinds])
    tensors, rate = fit_kind_tensors(fitted, calibrated, source_kinds, padding)
    info = KindsInfo(KINDS_VERSION, dataset.name, split, detector.imgsz, rate, entries)
    return KindClassifier(info, tensors)


def _spread(samples: Sequence[Sample], sources: int) -> list[Sample]:
    """Return at most :data:`IMAGES_A_SOURCE` images of each source, evenly spread over them."""
    found: list[Sample] = []
    for source in range(sources):
        own = [sample for sample in samples if sample.source_id == source]
        rows = np.linspace(0, len(own) - 1, min(len(own), IMAGES_A_SOURCE)).round().astype(int)
        found += [own[row] for row in rows]
    return found


def _images(samples: Sequence[Sample], views: int, numbers: Sequence[int]) -> Iterator[Image]:
    """Yield images and their views, then images of no kind, every second one as a view."""
    for row, sample in enumerate(samples):
        pixels = sample.read_pixels()
        yield pixels, sample.source_id
        for view in range(views):
            yield random_view(pixels, np.random.default_rng([row, view])), sample.source_id
    photographs = _photographs()
    for number in numbers:
        form = number % (len(FORMS) + 1)
        if form == len(FORMS):
            image = _crop(photographs[number // (len(FORMS) + 1) % len(photographs)], number)
        else:
            image = negative_image(number // (len(FORMS) + 1) * len(FORMS) + form)
        is_view = number // (len(FORMS) + 1) % 2
        yield random_view(image, np.random.default_rng([number])) if is_view else image, -1


def _photographs() -> list[UInt8Array]:
    """Return the sample photographs of scikit-learn."""
    from sklearn.datasets import load_sample_images

    return list(load_sample_images().images)


def _crop(photograph: UInt8Array, number: int) -> UInt8Array:
    """Return a random part of a photograph."""
    random = np.random.default_rng([3, number])
    scale = random.uniform(0.2, 1)
    height, width = (max(8, int(side * scale * random.uniform(0.7, 1))) for side in photograph.shape[:2])
    top = int(random.integers(0, photograph.shape[0] - height + 1))
    left = int(random.integers(0, photograph.shape[1] - width + 1))
    return np.ascontiguousarray(photograph[top : top + height, left : left + width])


class _FeatureReader:
    """Reader of the pooled features of images.

    Parameters
    ----------
    engine
        The network.
    total
        Number of images of all calls.
    advance
        Called with the images done, their total, and what is being done.
    rectangles
        Whether the model input has the shape of each image.
    """

    def __init__(self, engine: Engine, total: int, advance: Progress, *, rectangles: bool) -> None:
        self._engine = engine
        self._rectangles = rectangles
        self._total = total
        self._advance = advance
        self._done = 0

    def read(self, images: Iterator[Image] | Sequence[Image]) -> KindFeatures:
        """Return the features of some images."""
        pooled: list[np.ndarray] = []
        shares: list[float] = []
        groups: list[int] = []
        inputs: list[UInt8Array] = []
        for pixels, group in images:
            size = (pixels.shape[0], pixels.shape[1])
            letterbox = Letterbox.fit(size, self._engine.imgsz, rectangle=self._rectangles)
            inputs.append(letterbox.apply(pixels))
            shares.append(letterbox.content_share)
            groups.append(group)
            if len(inputs) == _BATCH:
                pooled += self._infer(inputs)
                inputs = []
        if inputs:
            pooled += self._infer(inputs)
        return KindFeatures(np.stack(pooled), np.array(shares), np.array(groups, dtype=np.int64))

    def _infer(self, inputs: Sequence[UInt8Array]) -> list[np.ndarray]:
        found = [own.pooled for own in self._engine.infer(stack_arrays(inputs), 1.0)]
        self._done += len(inputs)
        self._advance(self._done, self._total, "fitting kinds")
        return [pooled for pooled in found if pooled is not None]
