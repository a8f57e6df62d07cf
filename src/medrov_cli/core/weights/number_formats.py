"""File beside weights with the ranges for int8, and the measured losses of number formats.

``medrov-n.formats.json`` belongs to ``medrov-n.safetensors``. It is bound to the tensors by their SHA-256, so
that it also applies to copies of the weights with other thresholds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from medrov_cli.core.base.codec import Fields, Rule, read_record
from medrov_cli.core.base.constants import GRID, MAX_IMGSZ
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.text_files import DocumentError, read_text
from medrov_cli.core.weights import catalogue
from medrov_cli.core.weights.container import sha256_of_tensors
from medrov_cli.core.weights.places import FORMATS_SUFFIX, formats_path, weights_dir

SCHEMA = "medrov.formats/1"

_MAX_VALUE = 1e6
_MAX_IMAGES = 1 << 40


@dataclass(frozen=True, slots=True)
class FormatLoss:
    """Measured loss of a number format against fp32.

    Attributes
    ----------
    map50, map50_95
        Loss of the means over sources, 1 is 100 %; negative: a gain.
    split
        Split of the images.
    images
        Number of images.
    imgsz
        Side of the square model input, in pixels.
    """

    map50: float
    map50_95: float
    split: str
    images: int
    imgsz: int

    @property
    def points(self) -> float:
        """Return the loss of mAP50 in percentage points."""
        return 100 * self.map50


@dataclass(frozen=True, slots=True)
class CalibrationImages:
    """Images of which the ranges were measured."""

    dataset: str
    split: str
    images: Annotated[int, Rule(low=1, high=_MAX_IMAGES)]
    imgsz: Annotated[int, Rule(low=GRID, high=MAX_IMGSZ)]


@dataclass(frozen=True, slots=True)
class NumberFormats:
    """Content of the file.

    Attributes
    ----------
    weights
        SHA-256 of the tensors, by :func:`~medrov_cli.core.weights.container.sha256_of_tensors`.
    ranges
        Smallest and largest value at each point of the network (:mod:`medrov_cli.core.model.graph.points`).
    calibration
        Images of which the ranges were measured.
    losses
        Loss of each number format.
    """

    weights: str
    ranges: Mapping[str, tuple[float, float]]
    calibration: CalibrationImages
    losses: Mapping[str, FormatLoss]

    def to_json(self) -> str:
        """Return the document; equal content gives equal bytes."""
        whole = {"schema": SCHEMA, **asdict(self)}
        whole["ranges"] = whole.pop("ranges")
        lines = [f' "{key}": {json.dumps(value, sort_keys=True)}' for key, value in whole.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def losses_document(self) -> dict[str, Any]:
        """Return the JSON object of the losses, with points."""
        return {name: {**asdict(loss), "points": round(loss.points, 2)} for name, loss in self.losses.items()}

    def losses_text(self) -> str:
        """Return the losses in points with their splits: ``bf16 0.02 (test), int8 0.21 (test)``."""
        return ", ".join(f"{name} {loss.points:.2f} ({loss.split})" for name, loss in self.losses.items())

    @property
    def ranges_sha256(self) -> str:
        """Return the SHA-256 of the ranges."""
        return hashlib.sha256(json.dumps(sorted(self.ranges.items())).encode()).hexdigest()


def write_formats(weights: Path, formats: NumberFormats) -> Path:
    """Write the file beside the weights.

    Raises
    ------
    MedrovError
        ``output_failed``.
    """
    path = formats_path(weights)
    with whole_file(path) as temporary:
        temporary.write_text(formats.to_json(), encoding="utf-8")
    return path


def read_formats(weights: Path) -> NumberFormats | None:
    """Return the content of the file for weights: that beside them, or one of the package; null without one.

    Raises
    ------
    MedrovError
        ``weights_corrupt`` if a file is malformed, or differs from the manifest; ``weights_missing``.
    """
    tensors = sha256_of_tensors(weights)
    package = weights_dir()
    for path in dict.fromkeys((formats_path(weights), *sorted(package.glob(f"*{FORMATS_SUFFIX}")))):
        if path.is_file():
            formats = _read(path)
            if formats.weights == tensors:
                if path.parent == package:
                    _check_manifest(path)
                return formats
    return None


def _read(path: Path) -> NumberFormats:
    try:
        return parse_formats(read_text(path), str(path))
    except (OSError, DocumentError) as error:
        raise MedrovError(ErrorCode.WEIGHTS_CORRUPT, f"{path} {error}", "Get the file again.") from error


def parse_formats(text: str, where: str) -> NumberFormats:
    """Return the content of a document.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    fields = Fields.from_json(text, where, SCHEMA, again="Get the file again.", update="Update medrov.")
    ranges = fields.mapping("ranges")
    for stem, pair in ranges.items():
        fields.require(_is_range(pair), f"ranges.{stem}", "two numbers, 0 between them")
    losses = fields.child("losses")
    return NumberFormats(
        weights=fields.text("weights"),
        ranges={stem: (float(low), float(high)) for stem, (low, high) in ranges.items()},
        calibration=read_record(CalibrationImages, fields.child("calibration")),
        losses={name: _loss(losses.child(name)) for name in losses.data},
    )


def _loss(fields: Fields) -> FormatLoss:
    return FormatLoss(
        map50=fields.number("map50", low=-1, high=1),
        map50_95=fields.number("map50_95", low=-1, high=1),
        split=fields.text("split"),
        images=fields.integer("images", low=1, high=_MAX_IMAGES),
        imgsz=fields.integer("imgsz", low=GRID, high=MAX_IMGSZ),
    )


def _is_range(pair: Any) -> bool:
    return _are_numbers(pair) and len(pair) == 2 and bool(pair[0] <= 0 < pair[1])


def _are_numbers(row: Any) -> bool:
    return isinstance(row, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MAX_VALUE
        for value in row
    )


def _check_manifest(path: Path) -> None:
    """Compare a file of the package with the SHA-256 in the manifest."""
    known = {
        formats_path(Path(entry.file)).name: entry.formats_sha256 for entry in catalogue.manifest().values()
    }
    expected = known.get(path.name)
    if expected is not None and hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{path} does not have the SHA-256 in the manifest",
            "Reinstall medrov.",
        )
