"""TorchScript: one archive, with the metadata as an extra file. torch.export is its successor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.engines.exported.export_metadata import ExportMetadata
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.exporting.request import ExportRequest, slots_of

_DEBUG = ".debug_pkl"
"""Suffix of records that hold paths of the source code on the machine of the export."""


_NUMBERED = re.compile(rb"___torch_mangle_\d+")
"""Suffix of the names of modules that were traced several times in a process."""


class ConvertedTorchScript:
    """Model in TorchScript, a :class:`~medrov_cli.core.exporting.request.ConvertedModel`."""

    quantisation: dict[str, Any] | None = None

    def __init__(self, request: ExportRequest) -> None:
        from medrov_cli.core.exporting.formats.traced import traced

        self._request = request
        self._module = traced(request)

    def save(self, folder: Path, stem: str, metadata: ExportMetadata) -> Sequence[Path]:
        """Write ``stem.torchscript``."""
        import torch

        slots = slots_of(self._request, metadata)
        path, whole = folder / f"{stem}.torchscript", folder / f".{stem}.whole"
        torch.jit.save(self._module, whole, _extra_files=slots)
        reader = torch._C.PyTorchFileReader(str(whole))  # noqa: SLF001 - no public reader exists
        writer = torch._C.PyTorchFileWriter(str(path))  # noqa: SLF001
        for name in reader.get_all_records():
            if not name.endswith(_DEBUG) and not name.startswith(".data/") and name != "version":
                record = reader.get_record(name)
                if name.endswith((".py", ".pkl")):
                    record = _with_one_name(record)
                writer.write_record(_with_one_name(name.encode()).decode(), record, len(record))
        writer.write_end_of_file()
        whole.unlink()
        return [path]

    def open(self, path: Path, *, plain: bool = False, imgsz: int | None = None) -> Engine:
        """Return an engine for torch with the written file."""
        import torch

        from medrov_cli.core.exporting.formats.traced import TracedEngine

        del plain, imgsz  # no suppression inside, and one size
        jit: Any = torch.jit
        module = jit.load(path, map_location="cpu")
        return TracedEngine(module, self._request.embeddings, self._request.imgsz, "torchscript-cpu")


def _with_one_name(content: bytes) -> bytes:
    """Return a record or its name without the suffixes of repeated tracing.

    The pickled record of the structure stores class names as lines, without lengths, so that they may be
    shortened.
    """
    return _NUMBERED.sub(b"___torch_mangle_0", content)
