"""Metadata of weights files: frozen records, and their strict parser from JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Annotated, Any

from medrov_cli.core.base.codec import Fields, Rule, read_record
from medrov_cli.core.base.constants import GRID, MAX_IMGSZ, TEXT_WIDTH
from medrov_cli.core.records.image_kinds import KindsInfo, parse_kinds
from medrov_cli.core.records.score_maps import CalibrationInfo, parse_calibration
from medrov_cli.core.settings.choices import Modality

SCHEMA = "medrov.weights/1"
"""Version of the metadata. Fields may be added under the same version, never renamed."""

SCALES = ("n", "s", "m", "l", "x")
"""Model sizes of YOLO-World v2, small to large."""


@dataclass(frozen=True, slots=True)
class ArchitectureInfo:
    """Parameters of the architecture of the network.

    Attributes
    ----------
    scale
        ``n``, ``s``, ``m``, ``l`` or ``x``.
    text_adapter
        Whether a trained linear map is applied to class embeddings.
    background
        Whether the network contains one class embedding of its own, for objects of no prompted class.
    """

    scale: Annotated[str, Rule(among=SCALES)]
    text_adapter: bool = False
    background: Annotated[bool, Rule(may_be_absent=True)] = False


@dataclass(frozen=True, slots=True)
class TextEncoderInfo:
    """Text encoder of the training.

    Attributes
    ----------
    spec
        Specification for ``--text-encoder``: ``minilm``, ``hf-hub:...``, ``local-dir:...``.
    identity
        Name of the encoder's weights; empty if unknown.
    revision
        Revision or content hash of its weights; empty if unknown.
    width
        Width of an embedding before padding to 512.
    context_length
        Maximum length of a text in tokens; null: default of the encoder.
    """

    spec: str
    identity: Annotated[str, Rule(may_be_empty=True)] = ""
    revision: Annotated[str, Rule(may_be_empty=True)] = ""
    width: Annotated[int, Rule(low=1, high=TEXT_WIDTH)] = TEXT_WIDTH
    context_length: Annotated[int | None, Rule(low=1, high=100_000)] = None


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """One class of the vocabulary.

    Attributes
    ----------
    name
        Name in results.
    synonyms
        Texts whose embeddings were averaged; empty if only the name was used.
    modalities
        Modalities that can show the class; empty if unknown.
    is_default
        Whether the class is searched if no class is named. False for a class that is too rare in the
        training data, or that is not found on validation images.
    mpp
        Micrometres per pixel of the model's input at training, the median of its images; null if unknown.
    object_px
        Median side of its objects at training (root of the area), in model pixels; null if unknown.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    modalities: tuple[Modality, ...] = ()
    is_default: Annotated[bool, Rule(may_be_absent=True)] = True
    mpp: Annotated[float | None, Rule(high=100_000, may_be_absent=True)] = None
    object_px: Annotated[float | None, Rule(high=MAX_IMGSZ, may_be_absent=True)] = None


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One source of training images, with its licence and modality (null: mixed or unknown)."""

    name: str
    licence: str
    modality: Modality | None = None


@dataclass(frozen=True, slots=True)
class TrainingInfo:
    """Training data of the weights, and remarks."""

    datasets: tuple[DatasetEntry, ...] = ()
    notes: Annotated[str, Rule(may_be_empty=True)] = ""


@dataclass(frozen=True, slots=True)
class WeightsMetadata:
    """Metadata of a weights file.

    Attributes
    ----------
    name
        Short name of the model.
    imgsz
        Side of the square model input in pixels; a multiple of 32.
    vocabulary
        The classes of tensor ``vocabulary.embeddings``, in its row order.
    licence
        SPDX identifier of the weights' licence, or a sentence.
    results
        Measured results, free JSON.
    created_by
        Program and version that wrote the file.
    source
        Origin of tensors that were not trained by this program.
    calibration
        Calibration of scores, and threshold of each class; null if they were not fitted.
    kinds
        Classifier of image kinds, whose arrays are tensors of the file; null if it was not fitted.
    rectangles
        Whether the network finds as much if the model input has the shape of the image, not of a square, so
        that engines on a CPU take such inputs by default.
    """

    name: str
    architecture: ArchitectureInfo
    text_encoder: TextEncoderInfo
    imgsz: Annotated[int, Rule(low=GRID, high=MAX_IMGSZ)]
    licence: str
    created_by: str
    vocabulary: tuple[ClassEntry, ...] = ()
    training: TrainingInfo = TrainingInfo()
    results: dict[str, Any] = field(default_factory=dict)
    source: Annotated[str, Rule(may_be_empty=True)] = ""
    calibration: CalibrationInfo | None = None
    kinds: KindsInfo | None = None
    rectangles: Annotated[bool, Rule(may_be_absent=True)] = False

    def entries_by_text(self) -> dict[str, list[ClassEntry]]:
        """Return the classes of each name and synonym, in lower case; the first is that of the name."""
        found: dict[str, list[ClassEntry]] = {}
        for entry in self.vocabulary:
            name = entry.name.casefold()
            for text in dict.fromkeys((name, *map(str.casefold, entry.synonyms))):
                own = found.setdefault(text, [])
                own.insert(0 if text == name else len(own), entry)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, schema ``medrov.weights/1``."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    def to_json(self) -> str:
        """Return canonical JSON: equal metadata give equal bytes.

        Raises
        ------
        ValueError
            If ``results`` contains a number that JSON cannot represent (NaN, infinity).
        """
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, where: str) -> WeightsMetadata:
        """Parse metadata strictly; unknown fields are ignored.

        Parameters
        ----------
        text
            The JSON document.
        where
            Name of the file, for messages.

        Raises
        ------
        MedrovError
            ``weights_corrupt``: not JSON, another schema, or a field missing or wrong.
        """
        fields = Fields.from_json(
            text,
            where,
            SCHEMA,
            again="Get the file again.",
            update="Update medrov, or get weights for this version.",
        )
        imgsz = fields.integer("imgsz", low=GRID, high=MAX_IMGSZ)
        fields.require(imgsz % GRID == 0, "imgsz", f"a multiple of {GRID}")
        calibration = parse_calibration(fields.data.get("calibration"), where)
        kinds = parse_kinds(fields.data.get("kinds"), where)
        return read_record(cls, fields, calibration=calibration, kinds=kinds)
