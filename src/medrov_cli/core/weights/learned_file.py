"""Files of learned classes: safetensors with the vectors of classes and a record of their fit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

from medrov_cli.core.base.codec import Fields, Rule, read_record
from medrov_cli.core.base.constants import RESEARCH_NOTICE, STRIDES
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.score_maps import ClassCalibration, read_class_calibration
from medrov_cli.core.weights.adapter import Adapter, AdapterInfo

SCHEMA = "medrov.learned/1"
"""Version of the record. Fields may be added under the same version, never renamed."""

LEARNED_SUFFIX = ".safetensors"

_KEY = "medrov_learned"
_TENSORS = ("kernels", "constants", "classes")
_MAX_VECTORS = 100_000
_HINT = "Get the file again, or run 'medrov learn' again."


@dataclass(frozen=True, slots=True)
class Validation:
    """Figures of a class on examples that were held out of the fit.

    Attributes
    ----------
    folds
        Number of parts of the examples, each held out once.
    ap50
        AP at IoU 0.5.
    f1
        F1 at the threshold of the class.
    text_ap50
        AP at IoU 0.5 of the name of the class as text, on the same images.
    """

    folds: Annotated[int, Rule(low=2, high=1000)]
    ap50: float
    f1: float
    text_ap50: float


@dataclass(frozen=True, slots=True)
class LearnedClass:
    """Record of one learned class.

    Attributes
    ----------
    name
        Name in results.
    images, boxes
        Number of images with an example, and of examples.
    negatives
        Number of images without one.
    vectors
        Number of vectors of the class.
    start
        Vectors from which the fit started: ``text``, ``examples`` or ``both``.
    calibration
        Threshold and map of the scores.
    validation
        Figures on held-out examples; null if one image has all examples.
    warnings
        Sentences about the fit.
    """

    name: str
    images: Annotated[int, Rule(low=1, high=10**9)]
    boxes: Annotated[int, Rule(low=1, high=10**9)]
    negatives: Annotated[int, Rule(high=10**9)]
    vectors: Annotated[int, Rule(low=1, high=_MAX_VECTORS)]
    start: Annotated[str, Rule(among=("text", "examples", "both"))]
    calibration: ClassCalibration
    validation: Validation | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkIdentity:
    """Network of learned classes.

    Attributes
    ----------
    name
        Name in its metadata.
    content_sha256
        SHA-256 of its tensors, which a calibration does not change.
    imgsz
        Side of the square model input of the fit, in pixels.
    """

    name: str
    content_sha256: str
    imgsz: Annotated[int, Rule(low=32, high=100_000)]


@dataclass(frozen=True, slots=True)
class LearnedInfo:
    """Record of a file of learned classes.

    Attributes
    ----------
    network
        Network that the classes belong to.
    classes
        The classes.
    licence
        Licence of the classes, as text.
    created_by
        Program and version.
    recipe
        Settings of the fit, without paths, to repeat it with another network.
    adapter
        Record of the adapter of the classes; null: they belong to the network as it is.
    """

    network: NetworkIdentity
    classes: tuple[LearnedClass, ...]
    licence: str
    created_by: str
    recipe: dict[str, Any] = field(default_factory=dict)
    adapter: Annotated[AdapterInfo | None, Rule(may_be_absent=True)] = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, schema ``medrov.learned/1``."""
        return {"schema": SCHEMA, **dataclasses.asdict(self), "notice": RESEARCH_NOTICE}


@dataclass(frozen=True, slots=True, eq=False)
class LearnedFile:
    """Learned classes of one file.

    Attributes
    ----------
    path
        The file.
    info
        Its record.
    kernels, constants, classes
        See :class:`medrov_cli.core.records.regions.RegionColumns`.
    adapter
        Changes of the network for all classes of the file; null: none.
    """

    path: Path
    info: LearnedInfo
    kernels: Float32Array
    constants: Float32Array
    classes: IntArray
    adapter: Adapter | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the classes."""
        return tuple(own.name for own in self.info.classes)

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of names, vectors, calibrations and the adapter."""
        digest = hashlib.sha256(self.kernels.tobytes() + self.constants.tobytes() + self.classes.tobytes())
        scores = [[own.name, own.calibration.short_record()] for own in self.info.classes]
        digest.update(json.dumps(scores, sort_keys=True).encode("ascii"))
        if self.adapter is not None:
            digest.update(self.adapter.sha256.encode("ascii"))
        return digest.hexdigest()


def write_learned(file: LearnedFile) -> None:
    """Write a file of learned classes atomically: equal content gives equal bytes.

    Raises
    ------
    MedrovError
        ``output_failed``.
    """
    tensors = {name: np.ascontiguousarray(getattr(file, name)) for name in _TENSORS}
    if file.adapter is not None:
        tensors |= file.adapter.as_arrays()
    text = json.dumps(file.info.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
    data = serialise(tensors, metadata={_KEY: text})
    with whole_file(file.path) as temporary:
        temporary.write_bytes(data)


def read_learned(path: Path) -> LearnedFile:
    """Read a file of learned classes and check its shapes, types and values.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt``.
    """
    if not path.is_file():
        raise MedrovError(
            ErrorCode.WEIGHTS_MISSING, f"no file of learned classes {path}", "Write one with 'medrov learn'."
        )
    try:
        with safe_open(path, framework="numpy") as handle:
            text = (handle.metadata() or {}).get(_KEY)
            if text is None:
                raise MedrovError(
                    ErrorCode.WEIGHTS_CORRUPT,
                    f"{path} contains no learned classes",
                    "Give a file of 'medrov learn'; weights are named by --weights.",
                )
            arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise _corrupt(path, f"not a complete safetensors file ({error})") from error
    except OSError as error:
        raise MedrovError(
            ErrorCode.WEIGHTS_MISSING, f"cannot read {path}: {error.strerror}", "Check its permissions."
        ) from error
    info = _parse(text, str(path))
    _check(path, info, arrays)
    kernels, constants, classes = (arrays[name] for name in _TENSORS)
    try:
        adapter = None if info.adapter is None else Adapter.from_arrays(arrays, info.adapter.rank)
    except ValueError as error:
        raise _corrupt(path, str(error)) from error
    return LearnedFile(path, info, kernels, constants, classes, adapter)


def _parse(text: str, where: str) -> LearnedInfo:
    fields = Fields.from_json(
        text, where, SCHEMA, again=_HINT, update="Update medrov, or learn the classes again."
    )
    classes = tuple(
        read_record(LearnedClass, child, calibration=read_class_calibration(child.child("calibration")))
        for child in fields.children("classes")
    )
    return read_record(LearnedInfo, fields, classes=classes)


def _check(path: Path, info: LearnedInfo, arrays: dict[str, Any]) -> None:
    """Refuse tensors that do not fit each other or the record."""
    if not arrays.keys() >= set(_TENSORS):
        raise _corrupt(path, "a tensor is missing")
    kernels, constants, classes = (arrays[name] for name in _TENSORS)
    counts = [own.vectors for own in info.classes]
    vectors = sum(counts)
    fits = (
        kernels.ndim == 3
        and kernels.shape[:2] == constants.shape == (len(STRIDES), vectors)
        and kernels.dtype == constants.dtype == np.float32
        and classes.dtype == np.int64
        and classes.tolist() == np.repeat(np.arange(len(counts)), counts).tolist()
    )
    if not fits or not counts:
        raise _corrupt(path, "the tensors do not fit the classes in its record")
    if not (np.isfinite(kernels).all() and np.isfinite(constants).all()):
        raise _corrupt(path, "a tensor has values that are not finite")
    if len({own.name.casefold() for own in info.classes}) < len(counts):
        raise _corrupt(path, "a class name occurs twice")


def _corrupt(path: Path, what: str) -> MedrovError:
    return MedrovError(ErrorCode.WEIGHTS_CORRUPT, f"{path}: {what}", _HINT)
