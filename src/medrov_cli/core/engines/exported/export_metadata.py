"""Metadata of exported models: a frozen record, and its strict parser from JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated, Any

from medrov_cli.core.base.codec import Fields, Rule, read_record
from medrov_cli.core.base.constants import GRID, MAX_IMGSZ, POOLED, RESEARCH_NOTICE
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.choices import ExportFormat, ExportPrecision
from medrov_cli.core.weights.metadata import ClassEntry, WeightsMetadata

SCHEMA = "medrov.export/1"
"""Version of the metadata. Fields may be added under the same version, never renamed."""

METADATA_KEY = "medrov"
"""Key of the JSON in ONNX' metadata_props, TorchScript's extra files and Core ML's metadata."""

VOCABULARY_KEY = "medrov.vocabulary"
"""Key of the class embeddings of the vocabulary in an open model: float16, base64."""

KINDS_KEY = "medrov.kinds"
"""Key of the tensors of the classifier of image kinds: a safetensors file, base64."""

LETTERBOX = {
    "scale": "the longer side is scaled to imgsz, the aspect ratio is kept",
    "place": "centred, (imgsz - side) // 2 pixels above and left",
    "pad_value": 114,
    "shrink": "area (cv2.INTER_AREA)",
    "enlarge": "bilinear (cv2.INTER_LINEAR)",
}
"""Rule of :mod:`medrov_cli.core.records.letterbox`, for other programs."""

_BOXES = {
    "boxes": "float32, (batch, anchors, 4): left, top, right, bottom, in pixels of the input",
    "scores": "float32, (batch, anchors, classes): 0 to 1, not calibrated",
}
_DETECTIONS = {
    "detections": (
        "float32, (batch, rows, 6): left, top, right, bottom, score, class; highest score first; rows with "
        "score 0 are padding"
    )
}

_POOLED = {
    POOLED: "float32, (batch, 2 * channels): mean of each channel of the backbone, then mean of its squares"
}


@dataclass(frozen=True, slots=True)
class Suppression:
    """Suppression inside a model.

    Attributes
    ----------
    thresholds
        Minimum raw score of each class; one number for all classes of an open model.
    iou, max_det
        See :func:`medrov_cli.core.records.suppression.select`.
    """

    thresholds: tuple[float, ...]
    iou: float
    max_det: Annotated[int, Rule(low=1, high=1_000_000)]


@dataclass(frozen=True, slots=True)
class ExportMetadata:
    """Metadata of an exported model.

    Attributes
    ----------
    format, precision
        Format of the file, and number format.
    weights_sha256, weights
        SHA-256 and metadata of the exported weights: name, licence, calibration.
    classes
        Classes in the order of the outputs; null for an open model, whose embeddings are an input.
    asked
        Whether the user gave the classes. Otherwise they are the vocabulary of the weights.
    text_encoder
        Text encoder of the class embeddings.
    vocabulary_sha256
        Identity of classes and text encoder; null for an open model.
    imgsz
        Side of the square model input, in pixels; null: any multiple of 32.
    suppression
        Suppression inside the model; null: none.
    content_sha256
        SHA-256 of the graph and its weights; empty if the format does not allow it.
    created_by
        Program and version that wrote the file.
    quantisation
        Settings of the int8 quantisation; null for other formats.
    parity
        Differences from the weights run by torch.
    """

    format: ExportFormat
    precision: ExportPrecision
    weights_sha256: str
    weights: WeightsMetadata
    classes: tuple[ClassEntry, ...] | None
    asked: bool
    text_encoder: str
    vocabulary_sha256: str | None
    imgsz: int | None
    created_by: str
    suppression: Suppression | None = None
    content_sha256: str = ""
    quantisation: dict[str, Any] | None = None
    parity: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, schema ``medrov.export/1``."""
        classes = None if self.classes is None else [dataclasses.asdict(entry) for entry in self.classes]
        return {
            "schema": SCHEMA,
            "created_by": self.created_by,
            "notice": RESEARCH_NOTICE,
            "format": self.format.value,
            "precision": self.precision.value,
            "name": self.weights.name,
            "licence": self.weights.licence,
            "weights": {"sha256": self.weights_sha256, "metadata": self.weights.as_dict()},
            "classes": classes,
            "text": {
                "form": "open" if self.classes is None else "folded",
                "asked": self.asked,
                "encoder": self.text_encoder,
                "vocabulary_sha256": self.vocabulary_sha256,
            },
            "input": {
                "name": "images",
                "dtype": "float32",
                "layout": "NCHW",
                "colour": "RGB",
                "range": [0, 1],
                "normalisation": "value / 255",
                "imgsz": self.imgsz,
                "multiple_of": GRID,
                "letterbox": dict(LETTERBOX),
            },
            "outputs": self._outputs(),
            "nms": None if self.suppression is None else dataclasses.asdict(self.suppression),
            "quantisation": self.quantisation,
            "parity": self.parity,
            "content_sha256": self.content_sha256,
        }

    def _outputs(self) -> dict[str, str]:
        found = _BOXES if self.suppression is None else _DETECTIONS
        return {**found, **({} if self.weights.kinds is None else _POOLED)}

    def to_json(self) -> str:
        """Return canonical JSON: equal metadata give equal bytes."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, where: str) -> ExportMetadata:
        """Parse metadata strictly; unknown fields are ignored.

        Raises
        ------
        MedrovError
            ``weights_corrupt``: not JSON, another schema, or a field missing or wrong.
        """
        fields = Fields.from_json(
            text,
            where,
            SCHEMA,
            again="Export the weights again.",
            update="Update medrov, or export the weights with this version.",
        )
        return _parse(fields)


def corrupt(where: str, what: str) -> MedrovError:
    """Return the error for a damaged exported model."""
    return MedrovError(ErrorCode.WEIGHTS_CORRUPT, f"{where}: {what}", "Export the weights again.")


def _parse(fields: Fields) -> ExportMetadata:
    weights, text = fields.child("weights"), fields.child("text")
    is_open = text.choice("form", ("folded", "open")) == "open"
    imgsz = fields.child("input").optional_integer("imgsz", low=GRID, high=MAX_IMGSZ)
    suppression = None if fields.data.get("nms") is None else read_record(Suppression, fields.child("nms"))
    classes = None if is_open else tuple(read_record(ClassEntry, item) for item in fields.children("classes"))
    fields.require(classes is None or bool(classes), "classes", "a list that is not empty")
    if suppression is not None:
        expected = 1 if classes is None else len(classes)
        fields.require(len(suppression.thresholds) == expected, "nms", "one threshold per class")
    return ExportMetadata(
        format=ExportFormat(fields.choice("format", tuple(ExportFormat))),
        precision=ExportPrecision(fields.choice("precision", tuple(ExportPrecision))),
        weights_sha256=weights.text("sha256"),
        weights=WeightsMetadata.from_json(json.dumps(weights.mapping("metadata")), where=fields.where),
        classes=classes,
        asked=text.flag("asked"),
        text_encoder=text.text("encoder"),
        vocabulary_sha256=None if is_open else text.text("vocabulary_sha256"),
        imgsz=imgsz,
        created_by=fields.text("created_by"),
        suppression=suppression,
        content_sha256=fields.text("content_sha256", may_be_empty=True),
        quantisation=None if fields.data.get("quantisation") is None else fields.mapping("quantisation"),
        parity=None if fields.data.get("parity") is None else fields.mapping("parity"),
    )
