"""What is exported: weights, classes and form, and the plain graph of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from medrov_cli.core.engines.exported.metadata import METADATA_KEY, VOCABULARY_KEY, ExportMetadata
from medrov_cli.core.engines.exported.open_exported import encode_vocabulary, open_exported, read_exported
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.settings.choices import EngineName, ExportPrecision
from medrov_cli.core.settings.export import ExportSettings
from medrov_cli.core.weights import container

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is exported.

    Attributes
    ----------
    config
        All settings.
    path
        The weights file.
    classes
        What a folded model finds; what an open one is checked with.
    vocabulary
        Of an open model: embeddings of the weights' own classes, to travel with it.
    imgsz
        Side of the square model input, in pixels: the only one, or the one that a model of any size is
        checked at.
    squares_rgb
        Images for int8, uint8, (n, imgsz, imgsz, 3).
    """

    config: ExportSettings
    path: Path
    classes: ClassList
    vocabulary: Float32Array
    imgsz: int
    squares_rgb: UInt8Array

    @property
    def embeddings(self) -> Float32Array | None:
        """Return the embeddings that an engine has to be handed; null for a folded model."""
        return self.classes.embeddings if self.config.is_open else None

    @property
    def is_int8(self) -> bool:
        """Tell whether the model is to be quantised."""
        return self.config.precision is ExportPrecision.INT8


class Draft(Protocol):
    """A model in one format, that can be written with whatever metadata.

    Attributes
    ----------
    quantisation
        How int8 was made, for the metadata; null where it was not.
    """

    quantisation: dict[str, Any] | None

    def save(self, folder: Path, stem: str, metadata: ExportMetadata) -> Sequence[Path]:
        """Write it as files of this stem; return them, the one that a user names first."""

    def open(self, path: Path, *, plain: bool = False, imgsz: int | None = None) -> Engine | None:
        """Return an engine for what :meth:`save` wrote, or, ``plain``, for the same without suppression.

        ``imgsz`` is that of the subject where null.

        Null where the machine cannot run it.
        """


def plain_graph(subject: Subject) -> onnx.ModelProto:
    """Return the detector as a graph in float32, without suppression.

    Raises
    ------
    MedrovError
        ``WEIGHTS_CORRUPT``.
    """
    from medrov_cli.core.model.graph.detector import GraphForm, TextForm, build_graph

    config = subject.config
    form = GraphForm(
        TextForm.EMBEDDINGS if config.is_open else TextForm.FIXED,
        imgsz=None if config.dynamic else subject.imgsz,
    )
    try:
        return build_graph(
            container.load_tensors(subject.path), form, None if config.is_open else subject.classes.embeddings
        )
    except (KeyError, ValueError, IndexError) as error:
        raise container.misfit(subject.path, error) from error


def plain_twin(path: Path) -> Path:
    """Return where the same model without suppression is written."""
    return path.with_name(f"{path.stem}.plain{path.suffix}")


def open_draft(subject: Subject, path: Path, engine: EngineName, *, plain: bool, imgsz: int | None) -> Engine:
    """Return an engine for a draft that was written; see :meth:`Draft.open`."""
    model = read_exported(plain_twin(path) if plain and plain_twin(path).exists() else path)
    return open_exported(model, subject.embeddings, imgsz=imgsz or subject.imgsz, engine=engine)


def slots_of(subject: Subject, metadata: ExportMetadata) -> dict[str, str]:
    """Return the texts that a model file carries."""
    slots = {METADATA_KEY: metadata.to_json()}
    if metadata.classes is None:
        slots[VOCABULARY_KEY] = encode_vocabulary(subject.vocabulary)
    return slots


def suppression_of(metadata: ExportMetadata) -> onnx.ModelProto | None:
    """Return the graph of the suppression that a model's metadata describe; null without one."""
    from medrov_cli.core.model.graph.suppression import suppression_graph, thresholds_of

    own = metadata.suppression
    if own is None:
        return None
    classes = None if metadata.classes is None else len(metadata.classes)
    return suppression_graph(thresholds_of(own.thresholds), own.iou, own.max_det, classes)
