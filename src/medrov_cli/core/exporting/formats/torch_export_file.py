"""Program of ``torch.export``: one archive, with the metadata as an extra file.

It is the successor of TorchScript: ``torch.jit`` is deprecated. AOTInductor compiles it for a machine
(``torch._inductor.aoti_compile_and_package``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.engines.exported.export_metadata import ExportMetadata
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.exporting.request import ExportRequest, slots_of

MAX_BATCH = 4096
"""Largest batch of the program."""


class ConvertedTorchExport:
    """Model as a program of torch.export, a :class:`~medrov_cli.core.exporting.request.ConvertedModel`."""

    quantisation: dict[str, Any] | None = None

    def __init__(self, request: ExportRequest) -> None:
        self._request = request
        self._program = _program(request)

    def save(self, folder: Path, stem: str, metadata: ExportMetadata) -> Sequence[Path]:
        """Write ``stem.pt2``."""
        import torch

        # The archive contains the stem of its file name: a constant one gives equal bytes under any name.
        path, written = folder / f"{stem}.pt2", folder / "model.pt2"
        torch.export.save(self._program, written, extra_files=slots_of(self._request, metadata))
        written.rename(path)
        return [path]

    def open(self, path: Path, *, plain: bool = False, imgsz: int | None = None) -> Engine:
        """Return an engine for torch with the written file."""
        import torch

        from medrov_cli.core.exporting.formats.traced import TracedEngine

        del plain, imgsz  # no suppression inside, and one size
        module = torch.export.load(path).module()
        return TracedEngine(module, self._request.embeddings, self._request.imgsz, "torch-export-cpu")


def _program(request: ExportRequest) -> Any:
    """Return the program for one image size, any batch size and, if it is open, any number of classes."""
    import torch

    from medrov_cli.core.exporting.formats.traced import module_and_inputs

    module, inputs = module_and_inputs(request)
    batch: Any = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    shapes: list[dict[int, Any]] = [{0: batch}]
    if request.config.is_open:
        shapes.append({0: torch.export.Dim("classes", min=1)})
    with torch.no_grad():
        program: Any = torch.export.export(module, inputs, dynamic_shapes=tuple(shapes), strict=False)
    program.example_inputs = None
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # paths of the source code on this machine
    return program
