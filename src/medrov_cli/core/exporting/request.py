"""Request of an export: weights, classes and options, and the graph without suppression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from medrov_cli.core.engines.exported.export_metadata import (
    KINDS_KEY,
    METADATA_KEY,
    VOCABULARY_KEY,
    ExportMetadata,
)
from medrov_cli.core.engines.exported.open_exported import open_exported
from medrov_cli.core.engines.exported.read_exported import encode_kinds, encode_vocabulary, read_exported
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.image_kinds import KindTensors
from medrov_cli.core.settings.choices import EngineName, ExportPrecision
from medrov_cli.core.settings.export import ExportSettings
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights import container

if TYPE_CHECKING:
    import onnx

    from medrov_cli.core.model.graph.detector import GraphColumns


@dataclass(frozen=True, slots=True, eq=False)
class ExportRequest:
    """Request of an export.

    Attributes
    ----------
    config
        All settings.
    path
        Weights file.
    classes
        Fixed classes of the model, or the classes with which an open one is compared.
    vocabulary
        Embeddings of the classes of the weights, stored in an open model.
    imgsz
        Side of the square model input in pixels: the fixed one, or the one of the comparison of a dynamic
        model.
    squares_rgb
        Images for int8, uint8, (n, imgsz, imgsz, 3).
    kinds
        Tensors of the classifier of image kinds, stored in the model; null if the weights have none.
    columns
        Learned classes, and the columns that ``classes`` names; null: all are texts.
    """

    config: ExportSettings
    path: Path
    classes: ClassList
    vocabulary: Float32Array
    imgsz: int
    squares_rgb: UInt8Array
    kinds: KindTensors | None = None
    columns: GraphColumns | None = None

    @property
    def embeddings(self) -> Float32Array | None:
        """Return the embeddings that an engine needs as input; null for fixed classes."""
        return self.classes.embeddings if self.config.is_open else None

    @property
    def is_int8(self) -> bool:
        """Return whether the model is to be quantised."""
        return self.config.precision is ExportPrecision.INT8


class ConvertedModel(Protocol):
    """Model in one export format, before it is written.

    Attributes
    ----------
    quantisation
        Settings of the int8 quantisation, for the metadata; null without quantisation.
    """

    quantisation: dict[str, Any] | None

    def save(self, folder: Path, stem: str, metadata: ExportMetadata) -> Sequence[Path]:
        """Write files with this stem; return them, first the one that a user opens."""

    def open(self, path: Path, *, plain: bool = False, imgsz: int | None = None) -> Engine | None:
        """Return an engine for the files of :meth:`save`, or, ``plain``, for those without suppression.

        If ``imgsz`` is null, it is that of the request.

        The result is null if the machine has no runtime for the format.
        """


def plain_graph(request: ExportRequest) -> onnx.ModelProto:
    """Return the detector as a graph in float32, without suppression.

    Raises
    ------
    MedrovError
        ``WEIGHTS_CORRUPT``.
    """
    from medrov_cli.core.model.graph.detector import GraphForm, TextForm, build_graph

    config = request.config
    form = GraphForm(
        TextForm.EMBEDDINGS if config.is_open else TextForm.FIXED,
        input_hw=None if config.dynamic else (request.imgsz, request.imgsz),
        pooled=request.kinds is not None,
    )
    try:
        embeddings = None if config.is_open else request.classes.embeddings
        return build_graph(container.load_tensors(request.path), form, embeddings, request.columns)
    except (KeyError, ValueError, IndexError) as error:
        raise container.misfit(request.path, error) from error


def plain_twin(path: Path) -> Path:
    """Return the path of the same model without suppression."""
    return path.with_name(f"{path.stem}.plain{path.suffix}")


def open_converted(
    request: ExportRequest, path: Path, engine: EngineName, *, plain: bool, imgsz: int | None
) -> Engine:
    """Return an engine for a written model; see :meth:`ConvertedModel.open`."""
    model = read_exported(plain_twin(path) if plain and plain_twin(path).exists() else path)
    runtime = RuntimeSettings(engine=engine)
    return open_exported(model, request.embeddings, runtime, imgsz=imgsz or request.imgsz, is_own=True)


def slots_of(request: ExportRequest, metadata: ExportMetadata) -> dict[str, str]:
    """Return the metadata entries of a model file."""
    slots = {METADATA_KEY: metadata.to_json()}
    if metadata.classes is None:
        slots[VOCABULARY_KEY] = encode_vocabulary(request.vocabulary)
    if request.kinds is not None:
        slots[KINDS_KEY] = encode_kinds(request.kinds)
    return slots


def suppression_of(metadata: ExportMetadata) -> onnx.ModelProto | None:
    """Return the graph of the suppression in a model's metadata; null without one."""
    from medrov_cli.core.model.graph.suppression_graph import suppression_graph, thresholds_of

    own = metadata.suppression
    if own is None:
        return None
    classes = None if metadata.classes is None else len(metadata.classes)
    return suppression_graph(thresholds_of(own.thresholds), own.iou, own.max_det, classes)
