"""Model files: weights and exported models, under one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from medrov_cli.core.base.constants import EXPORTED_SUFFIXES
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.engines.interface import Engine, EngineRequest, Loaders, RegionEngine
from medrov_cli.core.engines.open_engine import choose_engine, choose_format, open_engine
from medrov_cli.core.model.loading import (
    GRAPH_VERSION,
    QUANTISATION_VERSION,
    load_folded,
    load_folded_network,
    load_graph,
    load_quantised_graph,
)
from medrov_cli.core.pixels.budget import limit_memory
from medrov_cli.core.prediction.adapted_weights import NetworkColumns, adapted_weights
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.joined_engine import join_engines
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.image_kinds import KindClassifier
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.metadata import ClassEntry, WeightsMetadata

if TYPE_CHECKING:
    from medrov_cli.core.settings.values import Prompt

LOADERS = Loaders(
    load_folded_network, load_graph, load_quantised_graph, load_folded, GRAPH_VERSION, QUANTISATION_VERSION
)


class ModelFile(Protocol):
    """A file from which a predictor is opened.

    Attributes
    ----------
    path
        The file.
    sha256
        SHA-256 of the file.
    content_sha256
        SHA-256 of the tensors or the graph; a calibration does not change it.
    metadata
        Metadata of the weights, or of those from which the model was exported.
    imgsz
        Side of the square model input, in pixels: the only one, or the one of the training.
    text_encoder
        Spec of the text encoder of the class embeddings.
    classes
        Fixed classes, in the order of the columns; null for a model without fixed classes.
    exported
        Format and precision of an export; null for weights.
    warnings
        Warnings for reports.
    kinds
        Classifier of image kinds; null if the model has none.
    """

    @property
    def kinds(self) -> KindClassifier | None: ...  # noqa: D102
    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def content_sha256(self) -> str: ...  # noqa: D102
    @property
    def metadata(self) -> WeightsMetadata: ...  # noqa: D102
    @property
    def imgsz(self) -> int: ...  # noqa: D102
    @property
    def text_encoder(self) -> str: ...  # noqa: D102
    @property
    def classes(self) -> tuple[ClassEntry, ...] | None: ...  # noqa: D102
    @property
    def exported(self) -> dict[str, Any] | None: ...  # noqa: D102
    @property
    def warnings(self) -> tuple[str, ...]: ...  # noqa: D102

    def find_classes(self, prompts: Sequence[Prompt], *, encoder: str | None, offline: bool) -> ClassList:
        """Return the requested classes, or those of the model without a request.

        Raises
        ------
        MedrovError
            ``USAGE`` if the fixed classes of the model differ, or if no classes are requested and the model
            has no vocabulary; the codes of text encoders.
        """

    def choose_engine(self, runtime: RuntimeSettings) -> EngineName:
        """Return the engine that :meth:`open` uses; the errors are the same."""

    def choose_precision(self, runtime: RuntimeSettings) -> Precision:
        """Return the number format that :meth:`open` uses; the errors are the same.

        It is ``auto`` for an exported model without another request: the format of the file.
        """

    def open(
        self,
        embeddings: Float32Array | None,
        runtime: RuntimeSettings,
        *,
        imgsz: int,
        streams: int,
        learned: NetworkColumns | None = None,
    ) -> Engine:
        """Load the network into an engine, and set the budget of memory for reading images.

        Parameters
        ----------
        embeddings
            Class embeddings, float32, (classes, 512), L2 norm 1; null for a model with fixed classes.
        runtime
            Device, engine and precision.
        imgsz
            Side of the square model input, in pixels.
        streams
            Number of images that are computed in parallel.
        learned
            Learned classes, whose columns follow the others; null for an exported model.
        """


def read_model_file(name: str | Path) -> ModelFile:
    """Return the weights or the exported model of a name in the manifest or a path.

    Raises
    ------
    MedrovError
        The codes of weights and exported models.
    """
    path = resolution.resolve(str(name), exported=True)
    if path.suffix.lower() not in EXPORTED_SUFFIXES:
        return WeightsFile.read(path)
    from medrov_cli.core.engines.exported.read_exported import read_exported
    from medrov_cli.core.prediction.exported_file import ExportedFile

    return ExportedFile(read_exported(path))


@dataclass(frozen=True)
class WeightsFile:
    """A weights file; see :class:`ModelFile`."""

    path: Path
    metadata: WeightsMetadata

    @classmethod
    def read(cls, path: Path) -> WeightsFile:
        """Return a weights file with its metadata.

        Raises
        ------
        MedrovError
            ``WEIGHTS_MISSING``, ``WEIGHTS_CORRUPT``.
        """
        return cls(path, container.read_metadata(path))

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of the file."""
        return container.sha256_of(self.path)

    @cached_property
    def content_sha256(self) -> str:
        """Return the SHA-256 of the tensors."""
        return container.sha256_of_tensors(self.path)

    @cached_property
    def kinds(self) -> KindClassifier | None:
        """Return the classifier of image kinds; null if the weights have none."""
        return container.load_kinds(self.path)

    @property
    def imgsz(self) -> int:
        """Return the side of the square model input of the training, in pixels."""
        return self.metadata.imgsz

    @property
    def text_encoder(self) -> str:
        """Return the spec of the text encoder of the training."""
        return self.metadata.text_encoder.spec

    @property
    def classes(self) -> None:
        """Return null: weights have no fixed classes."""
        return None

    @property
    def exported(self) -> None:
        """Return null: the file is not exported."""
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return no warning."""
        return ()

    def find_classes(self, prompts: Sequence[Prompt], *, encoder: str | None, offline: bool) -> ClassList:
        """Return the requested classes, or the vocabulary; see the protocol."""
        if prompts:
            return ClassList.from_prompts(prompts, self.metadata, encoder=encoder, offline=offline)
        return ClassList.from_weights(self.path, self.metadata)

    def choose_engine(self, runtime: RuntimeSettings) -> EngineName:
        """Return the engine that :meth:`open` uses; see the protocol."""
        return choose_engine(runtime)

    def choose_precision(self, runtime: RuntimeSettings) -> Precision:
        """Return the number format that :meth:`open` uses; see the protocol."""
        return choose_format(self.path, runtime)

    def open(
        self,
        embeddings: Float32Array | None,
        runtime: RuntimeSettings,
        *,
        imgsz: int,
        streams: int,
        learned: NetworkColumns | None = None,
    ) -> RegionEngine:
        """Load the network into an engine; see the protocol."""
        limit_memory(runtime.max_memory)
        if embeddings is None:
            raise ValueError("weights need class embeddings")
        request = EngineRequest(self.path, embeddings, imgsz, LOADERS, runtime, streams)
        if learned is None:
            return open_engine(request)
        engines, counts = [], []
        if learned.plain is not None or not learned.alone:
            engines.append(open_engine(replace(request, learned=learned.plain)))
            plain = 0 if learned.plain is None else learned.plain.count
            counts.append(plain if learned.alone else len(embeddings) + plain)
        if learned.adapted:
            engines += self._open_adapted(request, learned)
            counts += [columns.count for _, columns in learned.adapted]
        return join_engines(engines, counts)

    def _open_adapted(self, request: EngineRequest, learned: NetworkColumns) -> list[RegionEngine]:
        """Return an engine for each adapter, with the attention guided by the vocabulary of the weights.

        The number format is that of the network without adapters. int8 is refused, because its ranges belong
        to that network.
        """
        precision = self.choose_precision(request.runtime)
        if precision is Precision.INT8:
            raise usage_error(
                "--precision int8: learned classes with an adapter have no ranges for int8",
                "Use --precision fp32 or bf16.",
            )
        guides = ClassList.from_weights(self.path, self.metadata).embeddings
        if guides is None:
            raise ValueError("the vocabulary of weights has embeddings")
        own = replace(request, embeddings=guides, runtime=replace(request.runtime, precision=precision))
        return [
            open_engine(
                replace(
                    own, weights=adapted_weights(self.path, self.content_sha256, adapter), learned=columns
                )
            )
            for adapter, columns in learned.adapted
        ]
