"""``medrov weights``: list, verification, import and download of weights.

Every subcommand prints one JSON document with ``--json``: ``medrov.weights.list/1``,
``medrov.weights.show/1``, ``medrov.weights.verify/1``, ``medrov.weights.import/1``,
``medrov.weights.pull/1``, ``medrov.weights.prepare/1``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from medrov_cli import console
from medrov_cli.commands.signature import with_options
from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.settings.weights import (
    WeightsFileSettings,
    WeightsImportSettings,
    WeightsListSettings,
    WeightsPrepareSettings,
    WeightsPullSettings,
)

if TYPE_CHECKING:
    from medrov_cli.core.preparation import PreparedCache
    from medrov_cli.core.weights.container import Verification
    from medrov_cli.core.weights.listing import Listed
    from medrov_cli.core.weights.metadata import WeightsMetadata

app = typer.Typer(help="List, show, check, import, download and prepare model weights.", no_args_is_help=True)


@dataclass(frozen=True)
class Document:
    """Complete JSON document."""

    content: Mapping[str, Any]

    def as_dict(self) -> Mapping[str, Any]:
        """Return the document."""
        return self.content


def list_(settings: WeightsListSettings) -> None:
    """List the weights of the manifest, and whether they are installed."""
    from medrov_cli.core.weights.listing import list_weights

    listed = list_weights()
    document = Document({"schema": "medrov.weights.list/1", "weights": [_listed(item) for item in listed]})
    console.success(document, lambda _: _list_table(listed), as_json=settings.as_json)


def show(settings: WeightsFileSettings) -> None:
    """Show the metadata of weights: model, text encoder, classes, training, results."""
    from medrov_cli.core.provisioning import show_weights

    shown = show_weights(settings.weights)
    document = Document(
        {
            "schema": "medrov.weights.show/1",
            "path": str(shown.path),
            "bytes": shown.size_bytes,
            "metadata": shown.metadata.as_dict(),
        }
    )
    console.success(document, lambda _: _metadata_table(shown.path, shown.metadata), as_json=settings.as_json)


def verify(settings: WeightsFileSettings) -> None:
    """Verify weights: SHA-256, metadata, and the name, shape and values of every tensor."""
    from medrov_cli.core.model.verification import verify_weights

    found = verify_weights(settings.weights)
    document = Document({"schema": "medrov.weights.verify/1", **_verification(found)})
    console.success(document, lambda _: _verification_table(found), as_json=settings.as_json)


def import_(settings: WeightsImportSettings) -> None:
    """Convert an ultralytics .pt file (medrov.pt, yolov8*-worldv2.pt) without running its pickle."""
    from medrov_cli.core.provisioning import import_weights

    found = import_weights(settings)
    document = Document(
        {
            "schema": "medrov.weights.import/1",
            "checkpoint": str(settings.checkpoint),
            **_verification(found),
            "metadata": found.metadata.as_dict(),
        }
    )
    console.success(document, lambda _: _metadata_table(found.path, found.metadata), as_json=settings.as_json)


def pull(settings: WeightsPullSettings) -> None:
    """Download weights of the manifest to the cache. No other command downloads weights."""
    from medrov_cli.core.provisioning import pull_weights

    with console.progress("bytes") as advance:
        pulled = pull_weights(settings.name, offline=settings.offline, progress=advance)
    document = Document({"schema": "medrov.weights.pull/1", **_listed(pulled)})
    console.success(document, lambda _: _list_table((pulled,)), as_json=settings.as_json)


def prepare(settings: WeightsPrepareSettings) -> None:
    """Fill a cache folder beforehand: compiled graph and embeddings, for read-only machines.

    'MEDROV_CACHE=DIR medrov detect' then starts as fast as a second run. The folder is valid for this
    version of the packages, this type of CPU and the given numbers of cores.
    """
    from medrov_cli.core.preparation import prepare_cache

    with console.progress("parts") as advance:
        made = prepare_cache(settings, advance, stdin=sys.stdin)
    console.success(made, _prepared_table, as_json=settings.as_json)


app.command("list")(with_options(list_))
for _name, _function in (
    ("show", show),
    ("verify", verify),
    ("import", import_),
    ("pull", pull),
    ("prepare", prepare),
):
    app.command(_name, no_args_is_help=True)(with_options(_function))


def _listed(item: Listed) -> dict[str, Any]:
    """Return the JSON form of a manifest entry and its state."""
    entry = item.entry
    return {
        "name": entry.name,
        "state": item.availability.value,
        "path": None if item.path is None else str(item.path),
        "file": entry.file,
        "sha256": entry.sha256,
        "bytes": entry.size_bytes,
        "source": entry.source,
        "licence": entry.licence,
        "imgsz": entry.imgsz,
        "text_encoder": entry.text_encoder,
        "url": entry.url,
        "formats": None if item.formats is None else item.formats.losses_document(),
    }


def _verification(found: Verification) -> dict[str, Any]:
    """Return the JSON form of a checked file."""
    return {
        "path": str(found.path),
        "name": found.metadata.name,
        "sha256": found.sha256,
        "bytes": found.size_bytes,
        "tensors": found.tensors,
        "parameters": found.parameters,
    }


def _list_table(listed: tuple[Listed, ...]) -> Table:
    """Return a table of manifest entries."""
    table = Table(
        "name", "state", "MB", "imgsz", "text encoder", "loss of mAP50, points", "licence", box=None
    )
    for item in listed:
        entry = item.entry
        table.add_row(
            entry.name,
            item.availability.value.replace("_", " "),
            f"{entry.size_bytes / 1e6:.1f}",
            str(entry.imgsz),
            entry.text_encoder,
            "not measured" if item.formats is None else item.formats.losses_text(),
            entry.licence,
        )
    return table


def _facts(rows: Mapping[str, object]) -> Table:
    """Return a table of names and values, without empty values."""
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        if value not in (None, ""):
            table.add_row(name, Text(str(value)))
    return table


def _metadata_table(path: Path, metadata: WeightsMetadata) -> Table:
    """Return a table of the metadata of weights."""
    encoder = metadata.text_encoder
    return _facts(
        {
            "file": path,
            "name": metadata.name,
            "model": f"YOLO-World v2 {metadata.architecture.scale}, {metadata.imgsz} px, {_shape(metadata)}",
            "text encoder": f"{encoder.identity} ({encoder.spec})" if encoder.identity else encoder.spec,
            "classes": _names(metadata, is_default=True) or "none stored: give --classes",
            "searched only if named": _names(metadata, is_default=False),
            "trained on": ", ".join(f"{item.name} ({item.licence})" for item in metadata.training.datasets),
            "notes": metadata.training.notes,
            "results": ", ".join(f"{key} {value}" for key, value in _scalars(metadata.results).items()),
            "image kinds": _image_kinds(metadata),
            "scores": _calibration(metadata),
            "licence": metadata.licence,
            "source": metadata.source,
            "written by": metadata.created_by,
            "use": RESEARCH_NOTICE,
        }
    )


def _names(metadata: WeightsMetadata, *, is_default: bool) -> str:
    return ", ".join(item.name for item in metadata.vocabulary if item.is_default is is_default)


def _image_kinds(metadata: WeightsMetadata) -> str:
    own = metadata.kinds
    return "" if own is None else ", ".join(f"{kind.name} ({kind.modality.value})" for kind in own.kinds)


def _calibration(metadata: WeightsMetadata) -> str:
    own = metadata.calibration
    if own is None:
        return "raw; one threshold for all classes"
    thresholds = ", ".join(f"{item.name} {item.threshold:.2f}" for item in own.classes)
    fit = f"calibrated ({own.method}) on {own.dataset}, {own.split}, {own.imgsz} px"
    return f"{fit}; raw thresholds: {thresholds}; rare classes {own.pooled.threshold:.2f}"


def _scalars(results: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return the scalar results to a depth of two levels; tables are in the JSON form."""
    found: dict[str, Any] = {}
    for key, value in results.items():
        if isinstance(value, str | int | float):
            found[before + key] = value
        elif isinstance(value, Mapping) and not before:
            found |= _scalars(value, f"{key} ")
    return found


def _prepared_table(made: PreparedCache) -> Table:
    """Return a table of a prepared cache folder."""
    rows = made.as_dict() | {"cores": ", ".join(map(str, made.cores)), "bytes": None}
    return _facts({**rows, "schema": None, "size": f"{made.size_bytes / 1e6:.1f} MB"})


def _verification_table(found: Verification) -> Table:
    """Return a table of a checked file."""
    return _facts(
        {
            "file": found.path,
            "name": found.metadata.name,
            "SHA-256": found.sha256,
            "size": f"{found.size_bytes / 1e6:.1f} MB",
            "content": f"{found.tensors} tensors, {found.parameters} parameters",
            "verdict": "valid: metadata, names, shapes and values",
        }
    )


def _shape(metadata: WeightsMetadata) -> str:
    """Return the shape of the model input on a CPU."""
    return "inputs of the shape of the image" if metadata.rectangles else "square inputs"
