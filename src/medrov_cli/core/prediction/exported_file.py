"""An exported model as a model file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.engines.exported.open_exported import chosen_engine, open_exported
from medrov_cli.core.engines.exported.read_exported import ExportedModel
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.pixels.budget import limit_memory
from medrov_cli.core.prediction.adapted_weights import NetworkColumns
from medrov_cli.core.prediction.classes import ClassList, without_vocabulary
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.image_kinds import KindClassifier
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights.metadata import ClassEntry, WeightsMetadata

if TYPE_CHECKING:
    from medrov_cli.core.settings.values import Prompt


@dataclass(frozen=True)
class ExportedFile:
    """An exported model; see :class:`medrov_cli.core.prediction.model_file.ModelFile`."""

    model: ExportedModel

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.model.path

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the file."""
        return self.model.sha256

    @property
    def content_sha256(self) -> str:
        """Return the SHA-256 of the graph, without metadata."""
        return self.model.metadata.content_sha256

    @property
    def metadata(self) -> WeightsMetadata:
        """Return the metadata of the weights from which the model was exported."""
        return self.model.metadata.weights

    @property
    def kinds(self) -> KindClassifier | None:
        """Return the classifier of image kinds; null if the model has none."""
        return self.model.kinds

    @property
    def imgsz(self) -> int:
        """Return the side of the square model input, in pixels."""
        return self.model.metadata.imgsz or self.metadata.imgsz

    @property
    def text_encoder(self) -> str:
        """Return the spec of the text encoder of the classes."""
        return self.model.metadata.text_encoder

    @property
    def classes(self) -> tuple[ClassEntry, ...] | None:
        """Return the fixed classes; null for an open model."""
        return self.model.metadata.classes

    @property
    def exported(self) -> dict[str, Any]:
        """Return format, precision and weights of the export."""
        metadata = self.model.metadata
        return {
            "format": metadata.format.value,
            "precision": metadata.precision.value,
            "weights_sha256": metadata.weights_sha256,
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return a warning if the model contains suppression."""
        if self.model.metadata.suppression is None:
            return ()
        own = f"{self.path.name} contains suppression: detections below its thresholds are missing"
        return (f"{own}, which lowers AP",)

    def find_classes(self, prompts: Sequence[Prompt], *, encoder: str | None, offline: bool) -> ClassList:
        """Return the requested classes, or those of the model; see the protocol."""
        if self.classes is None and prompts:
            return ClassList.from_prompts(prompts, self.metadata, encoder=encoder, offline=offline)
        own = self._own_classes()
        if not prompts:
            return own
        if encoder not in (None, own.text_encoder):
            raise usage_error(
                f"--text-encoder: the classes of {self.path.name} are fixed in the model",
                "Leave --text-encoder out, or export again with --open for any classes.",
            )
        return own.selected([self._column_of(prompt, own) for prompt in prompts], prompts)

    def _column_of(self, prompt: Prompt, own: ClassList) -> int:
        """Return the number of the fixed class whose name and synonyms contain all texts of a prompt."""
        wanted = set(map(str.casefold, prompt.synonyms))
        found = [row for row, texts in enumerate(own.texts) if wanted <= set(map(str.casefold, texts))]
        if not found:
            raise usage_error(
                f"--classes: {self.path.name} does not contain {prompt.name!r}, and its classes are fixed",
                "Leave it out, or export again with these classes, or with --open for any classes.",
            )
        return min(found, key=lambda row: own.names[row].casefold() not in wanted)

    def _own_classes(self) -> ClassList:
        metadata = self.model.metadata
        is_asked = metadata.asked
        entries = self.metadata.vocabulary if self.classes is None else self.classes
        if not entries:
            raise without_vocabulary(f"{self.path.name} contains")
        if self.classes is None:
            spec = self.metadata.text_encoder.spec
            return ClassList.from_entries(entries, self.model.vocabulary, spec, asked=is_asked)
        return ClassList.from_entries(entries, None, metadata.text_encoder, asked=is_asked)

    def choose_engine(self, runtime: RuntimeSettings) -> EngineName:
        """Return the engine that :meth:`open` takes; see the protocol."""
        return chosen_engine(self.model, runtime)

    def choose_precision(self, runtime: RuntimeSettings) -> Precision:
        """Return the requested number format; see the protocol."""
        return runtime.precision

    def open(
        self,
        embeddings: Float32Array | None,
        runtime: RuntimeSettings,
        *,
        imgsz: int,
        streams: int,
        learned: NetworkColumns | None = None,
    ) -> Engine:
        """Load the model into an engine; see the protocol."""
        limit_memory(runtime.max_memory)
        if learned is not None:
            raise ValueError("an exported model has no region vectors")
        if runtime.rectangles:
            raise usage_error(
                f"--rectangles: {self.path.name} was exported for squares",
                "Use the .safetensors weights, or leave --rectangles out.",
            )
        return open_exported(self.model, embeddings, runtime, imgsz=imgsz, streams=streams)
