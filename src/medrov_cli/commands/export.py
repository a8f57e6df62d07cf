"""``medrov export``: weights as a model file for other programs, or for faster runs of ``detect``.

With ``--json`` the document is ``medrov.export/1``: metadata, and files with their paths and SHA-256. It is
also written beside the model.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from medrov_cli import console
from medrov_cli.core.settings.choices import ExportFormat
from medrov_cli.core.settings.export import ExportSettings


@dataclass(frozen=True, slots=True)
class ExportOutput:
    """Document of schema ``medrov.export/1``, with path and size of the model.

    Attributes
    ----------
    document
        Document that is written beside the model.
    output
        File or folder of the model.
    bytes
        Size of the model.
    """

    document: Mapping[str, Any]
    output: Path
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {**self.document, "output": str(self.output), "bytes": self.bytes}


def _render(output: ExportOutput) -> RenderableType:
    document = output.document
    table = console.table("", "")
    classes = document["classes"]
    imgsz = document["input"]["imgsz"]
    table.add_row("model", f"{document['name']}, {document['format']}, {document['precision']}")
    table.add_row("classes", "open: an input" if classes is None else str(len(classes)))
    table.add_row("image", "any multiple of 32" if imgsz is None else f"{imgsz} x {imgsz}")
    table.add_row("suppression", "outside" if document["nms"] is None else "inside")
    table.add_row("size", f"{output.bytes / 1e6:.1f} MB")
    for name, text in _rows(document["parity"]):
        table.add_row(name, text)
    return table


def _rows(parity: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return the result of the comparison, as rows of a table."""
    if parity is None:
        return [("check", "not run: this machine has no runtime for the format")]
    rows = [
        ("check", f"{parity['images']} images ({parity['images_of']}), {parity['engine']}"),
        ("scores differ by", f"{parity['score_max']:.5f} at most, {parity['score_mean']:.6f} on average"),
        (
            "boxes differ by",
            f"{parity['box_max_px']:.3f} pixels at most, {parity['box_mean_px']:.4f} on average",
        ),
    ]
    if "map50" in parity:
        shown = f"{100 * parity['map50_weights']:.2f} % to {100 * parity['map50']:.2f} %"
        rows.append(("mAP50", f"{shown}, over {parity['map50_classes']} classes of sources"))
    if "nms" in parity:
        nms = parity["nms"]
        rows.append(
            (
                "detections",
                (
                    f"{nms['detections']}, {100 * nms['differing']:.2f} % differ from the "
                    "suppression inside the model"
                ),
            )
        )
    return rows


def export(settings: ExportSettings) -> None:
    """Write weights as a model for other programs, after a comparison with torch.

    Metadata in the file describe its classes and the preparation of images. 'medrov detect --weights
    FILE' runs onnx and openvino. If results differ by more than the limits, nothing is written.
    """
    from medrov_cli.core.exporting.run import run_export

    with console.progress("images") as advance:
        result = run_export(settings, advance, stdin=sys.stdin)
    shown = ExportOutput(result.document, result.output, result.bytes)
    console.success(shown, _render, as_json=settings.as_json)
    if result.document["parity"] is None:
        console.warn("the model was not compared with torch: this machine has no runtime for the format")
    if settings.to is ExportFormat.TORCHSCRIPT:
        console.warn("torch.jit, the library of TorchScript, is deprecated; its successor: --to torch_export")
    console.note(f"written: {result.output}")
