"""An exported model that is to be evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.engines.exported.open_exported import (
    ExportedModel,
    chosen_engine,
    open_exported,
    read_exported,
)
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.prediction.columns import ABSENT, columns_of, with_columns
from medrov_cli.core.prediction.split_detection import Predictor
from medrov_cli.core.prediction.weights_file import embed_names
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights.metadata import WeightsMetadata


@dataclass(frozen=True, slots=True)
class ExportedDetector:
    """An exported model on the classes of a dataset.

    See :class:`medrov_cli.core.prediction.weights_file.Judged`.

    Attributes
    ----------
    model
        What the file is.
    columns
        Of each class of the dataset, its column in the model; null for an open model.
    imgsz
        Side of the square model input, in pixels.
    text_encoder
        What made, or makes, the class embeddings.
    warnings
        What a reader of the report should know.
    """

    model: ExportedModel
    columns: tuple[int, ...] | None
    imgsz: int
    text_encoder: str
    warnings: tuple[str, ...]

    @classmethod
    def resolve(cls, path: Path, config: EvaluateSettings, dataset: Dataset) -> ExportedDetector:
        """Return the model in a file, with the dataset's classes found in it.

        Raises
        ------
        MedrovError
            ``USAGE`` for settings that need weights, or classes that the model does not have; the codes
            of exported models.
        """
        model = read_exported(path)
        metadata = model.metadata
        if config.fit is not None:
            raise usage_error(
                f"--fit writes weights, and {path.name} is an exported model",
                "Fit the .safetensors weights, and export those again.",
            )
        columns, encoder, warnings = None, config.text_encoder or metadata.text_encoder, []
        if metadata.classes is not None:
            for flag, is_given in (
                ("--synonyms", config.synonyms),
                ("--text-encoder", config.text_encoder not in (None, metadata.text_encoder)),
            ):
                if is_given:
                    raise usage_error(
                        f"{flag}: the classes are worked into {path.name}",
                        "Leave it out, or export again with --open for any classes.",
                    )
            columns = tuple(columns_of(metadata.classes, dataset.classes))
            warnings += _missing(path, columns, dataset)
        if metadata.suppression is not None:
            warnings.append(
                f"{path.name} suppresses inside: what is below its own thresholds takes no part, "
                "which lowers AP"
            )
        imgsz = config.runtime.imgsz or metadata.imgsz or metadata.weights.imgsz
        return cls(model, columns, imgsz, encoder, tuple(warnings))

    @property
    def metadata(self) -> WeightsMetadata:
        """What the weights said about themselves that the model was made from."""
        return self.model.metadata.weights

    @property
    def sha256(self) -> str:
        """Of the file."""
        return self.model.sha256

    @property
    def content_sha256(self) -> str:
        """Of what decides the detections."""
        return self.model.metadata.content_sha256

    @property
    def exported(self) -> dict[str, Any]:
        """Return what the report says about the export."""
        metadata = self.model.metadata
        return {
            "format": metadata.format.value,
            "precision": metadata.precision.value,
            "weights_sha256": metadata.weights_sha256,
        }

    def engine(self, runtime: RuntimeSettings) -> str:
        """Return the name of the engine that the settings choose."""
        return chosen_engine(self.model, runtime.device, runtime.engine, runtime.precision).value

    def predictor(self, names: Sequence[Sequence[str]], runtime: RuntimeSettings) -> Predictor:
        """Open the model for some names of the dataset's classes."""
        if self.columns is not None:
            return with_columns(self._open(None, runtime).infer, self.columns)
        embeddings = embed_names(names, self.text_encoder, offline=runtime.offline)
        return self._open(embeddings, runtime).infer

    def _open(self, embeddings: Float32Array | None, runtime: RuntimeSettings) -> Engine:
        return open_exported(
            self.model,
            embeddings,
            imgsz=self.imgsz,
            device=runtime.device,
            engine=runtime.engine,
            precision=runtime.precision,
            streams=usable_cores(),
        )


def _missing(path: Path, columns: Sequence[int], dataset: Dataset) -> list[str]:
    """Return a warning of the classes that a model does not have, if there are any."""
    missing = [name for name, column in zip(dataset.classes, columns, strict=True) if column == ABSENT]
    if len(missing) == len(columns):
        raise usage_error(
            f"{path.name} has no class of {dataset.name}",
            "Export the weights with --classes of the dataset, or with --open for any.",
        )
    if not missing:
        return []
    return [f"{path.name} does not have {', '.join(missing)}: nothing is found of them"]
