"""Image kinds (modality and region or stain): their records, and the classifier that weights carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.codec import Fields, Rule, read_record
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.choices import Modality

KINDS_VERSION = 1
"""Version of the classifier: of its tensors and of its arithmetic."""

UNKNOWN_KIND = "unknown"
"""Name of the kind of an image that is of none of the kinds."""

STATED_ODDS = 100.0
"""Odds of the kinds of the modality that a file states, against all other kinds: a header counts as evidence
that the classifier outweighs only where it is almost certain."""

_TINY = 1e-9  # a distance of 0 has a logarithm

_LEAST_SHARE = 0.1  # of the square: the features of a narrower image are not corrected further


@dataclass(frozen=True, slots=True)
class ImageKind:
    """Kind of one image.

    Attributes
    ----------
    name
        Name of the kind; ``unknown`` if the image is of none.
    modality
        Modality of the kind; null if it is unknown.
    probability
        Calibrated probability of the kind; null if it is unknown.
    """

    name: str
    modality: Modality | None = None
    probability: float | None = None

    @property
    def is_unknown(self) -> bool:
        """Return whether the image is of no known kind."""
        return self.modality is None


@dataclass(frozen=True, slots=True)
class KindEntry:
    """One kind.

    Attributes
    ----------
    name
        Its name.
    modality
        Its modality.
    classes
        Names of the classes that images of the kind can show.
    """

    name: str
    modality: Modality
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KindsInfo:
    """Metadata of a classifier of kinds.

    Attributes
    ----------
    version
        :data:`KINDS_VERSION`.
    dataset, split
        Images of the fit, and of its calibration.
    imgsz
        Side of the square model input, in pixels.
    unknown_rate
        Fraction of the images of the calibration that are of no kind by the limit.
    kinds
        The kinds, in the order of the columns.
    """

    version: Annotated[int, Rule(low=1, high=1_000)]
    dataset: str
    split: str
    imgsz: Annotated[int, Rule(low=1, high=100_000)]
    unknown_rate: float
    kinds: tuple[KindEntry, ...]

    @property
    def known_classes(self) -> frozenset[str]:
        """Return all classes of the kinds, without case."""
        return frozenset(name.casefold() for kind in self.kinds for name in kind.classes)


@dataclass(frozen=True, slots=True, eq=False)
class KindTensors:
    """Arrays of a classifier of kinds, float32.

    ``x`` are the corrected features of an image (:meth:`features`), ``z = (x - offset) @ projection``, the
    logits ``z @ weight + bias``, of the kinds and, last, of none of them.

    Attributes
    ----------
    padding
        (2 * channels,): pooled features of an image of the letterbox's grey.
    offset
        (2 * channels,): mean of the features.
    projection
        (2 * channels, d): to directions whose variance within the kinds is 1.
    weight, bias
        (d, kinds + 1), (kinds + 1,).
    centres
        (kinds, d): mean ``z`` of each kind.
    unknown
        (3,): ``a``, ``b`` and ``limit``. An image is of no kind if ``a * log(d) + b * m`` exceeds the limit,
        where ``d`` is the squared distance of ``z`` from the centre of the best kind, and ``m`` the logit of
        no kind minus that of the best kind; and if ``m`` is positive.
    """

    padding: Float32Array
    offset: Float32Array
    projection: Float32Array
    weight: Float32Array
    bias: Float32Array
    centres: Float32Array
    unknown: Float32Array

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], kinds: int) -> Self:
        """Return the tensors of a file by name.

        Raises
        ------
        ValueError
            One is missing, has another shape, or a value that is not finite.
        """
        missing = [own.name for own in fields(cls) if own.name not in arrays]
        if missing:
            raise ValueError(f"tensor {missing[0]!r} of the classifier of kinds is missing")
        found = {own.name: np.asarray(arrays[own.name], dtype=np.float32) for own in fields(cls)}
        width, depth = (*found["projection"].shape, 0, 0)[:2]
        shapes = {
            "padding": (width,),
            "offset": (width,),
            "projection": (width, depth),
            "weight": (depth, kinds + 1),
            "bias": (kinds + 1,),
            "centres": (kinds, depth),
            "unknown": (3,),
        }
        for name, shape in shapes.items():
            if found[name].shape != shape or not np.isfinite(found[name]).all():
                raise ValueError(f"tensor {name!r} of the classifier of kinds has not {shape} finite numbers")
        return cls(**found)

    def as_arrays(self) -> dict[str, Float32Array]:
        """Return the tensors by name."""
        return {own.name: getattr(self, own.name) for own in fields(self)}

    def project(self, pooled: Float32Array, content_share: float) -> Float32Array:
        """Return ``z``, (d,), of the pooled features of an image."""
        x = correct_features(pooled[None], np.array([content_share]), self.padding)[0]
        return np.asarray((x - self.offset) @ self.projection)

    def is_unknown(self, z: Float32Array, logits: FloatArray, best: int) -> bool:
        """Return whether an image with the best kind ``best`` is of no kind."""
        slope, weight, limit = self.unknown
        distance = ((z - self.centres[best]) ** 2).sum()
        margin = logits[-1] - logits[best]
        return bool(margin > 0 or slope * np.log(distance + _TINY) + weight * margin > limit)


@dataclass(frozen=True, slots=True, eq=False)
class KindClassifier:
    """Classifier of kinds.

    Attributes
    ----------
    info
        Its metadata.
    tensors
        Its arrays.
    """

    info: KindsInfo
    tensors: KindTensors

    def classify(
        self, pooled: Float32Array, content_share: float, stated: Modality | None = None
    ) -> ImageKind:
        """Return the kind of an image.

        Parameters
        ----------
        pooled
            Pooled features, (2 * channels,).
        content_share
            Fraction of the square model input that the image covers.
        stated
            Modality that the file states; its kinds have :data:`STATED_ODDS`.
        """
        tensors, kinds = self.tensors, self.info.kinds
        z = tensors.project(pooled, content_share)
        logits = np.asarray(z @ tensors.weight + tensors.bias, dtype=np.float64)
        if stated is not None:
            logits[:-1] += np.log(STATED_ODDS) * np.array([kind.modality == stated for kind in kinds])
        best = int(logits[:-1].argmax())
        if tensors.is_unknown(z, logits, best):
            return ImageKind(UNKNOWN_KIND)
        probability = 1 / np.exp(logits - logits[best]).sum()
        return ImageKind(kinds[best].name, kinds[best].modality, float(probability))


def correct_features(pooled: Float32Array, content_shares: FloatArray, padding: Float32Array) -> Float32Array:
    """Return features of the image alone from pooled features of a square with a grey border.

    The border contributes its share of the area. What remains is the mean and the standard deviation of each
    channel over the image.

    Parameters
    ----------
    pooled
        float32, (n, 2 * channels): means, then means of the squares.
    content_shares
        (n,): fraction of each square that its image covers.
    padding
        (2 * channels,): pooled features of a square of the border's grey.
    """
    shares = np.maximum(content_shares, _LEAST_SHARE)[:, None].astype(np.float32)
    mean, square = np.split((pooled - (1 - shares) * padding) / shares, 2, axis=1)
    return np.concatenate((mean, np.sqrt(np.maximum(square - mean * mean, 0))), 1)


def parse_kinds(data: Any, where: str) -> KindsInfo | None:
    """Return the record of the metadata's ``kinds``; null without one.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    if data is None:
        return None
    document = Fields.from_object(data, where, "kinds.")
    info = read_record(KindsInfo, document)
    document.require(
        info.version == KINDS_VERSION, "version", f"{KINDS_VERSION} (other versions need another medrov)"
    )
    document.require(bool(info.kinds), "kinds", "a list that is not empty")
    return info
