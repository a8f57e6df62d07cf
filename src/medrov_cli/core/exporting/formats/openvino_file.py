"""OpenVINO: a folder with ``.xml`` and ``.bin``, with the metadata in rt_info of the ``.xml``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import POOLED
from medrov_cli.core.base.files import sha256_of_file
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata
from medrov_cli.core.engines.exported.read_exported import OPENVINO_SLOTS
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.engines.openvino_import import load_openvino
from medrov_cli.core.exporting.quantisation import quantised
from medrov_cli.core.exporting.request import (
    ExportRequest,
    open_converted,
    plain_graph,
    plain_twin,
    slots_of,
    suppression_of,
)
from medrov_cli.core.settings.choices import EngineName, ExportPrecision


class ConvertedOpenVino:
    """Model in OpenVINO's format, a :class:`~medrov_cli.core.exporting.request.ConvertedModel`.

    Attributes
    ----------
    quantisation
        Settings of the int8 quantisation; null for other precisions.
    """

    def __init__(self, request: ExportRequest) -> None:
        self._request = request
        self.quantisation: dict[str, Any] | None = None
        graph = plain_graph(request)
        self._core = load_openvino().Core()
        self._plain = self._core.read_model(graph.SerializeToString())
        if request.is_int8:
            self._plain, self.quantisation = quantised(self._plain, graph, "openvino", request)

    def save(self, folder: Path, stem: str, metadata: ExportMetadata) -> Sequence[Path]:
        """Write ``stem.xml`` and ``stem.bin``, and ``stem.plain.xml`` without suppression if it has one."""
        path = folder / f"{stem}.xml"
        suppression = suppression_of(metadata)
        model = self._plain.clone()
        if suppression is not None:
            self._write(plain_twin(path), model.clone(), replace(metadata, suppression=None))
            model = _joined(model, self._core.read_model(suppression.SerializeToString()))
        self._write(path, model, metadata)
        return [path, path.with_suffix(".bin")]

    def open(self, path: Path, *, plain: bool = False, imgsz: int | None = None) -> Engine:
        """Return an engine for OpenVINO."""
        return open_converted(self._request, path, EngineName.OPENVINO, plain=plain, imgsz=imgsz)

    def _write(self, path: Path, model: Any, metadata: ExportMetadata) -> None:
        openvino = load_openvino()
        # Generated names count all models of a process, but equal exports must give equal bytes.
        for number, node in enumerate(model.get_ordered_ops()):
            if node.get_type_name() not in ("Parameter", "Result"):
                node.set_friendly_name(f"{node.get_type_name()}_{number}")
        model.set_friendly_name(metadata.weights.name)
        for key in [*model.get_rt_info()]:  # entries of the tools that built it
            if key != "version":
                del model.get_rt_info()[key]
        half = metadata.precision is ExportPrecision.FP16
        openvino.save_model(model, path, compress_to_fp16=half)
        whole = replace(metadata, content_sha256=sha256_of_file(path.with_suffix(".bin")))
        for key, text in slots_of(self._request, whole).items():
            model.set_rt_info(text, list(OPENVINO_SLOTS[key]))
        openvino.save_model(model, path, compress_to_fp16=half)


def _joined(model: Any, after: Any) -> Any:
    """Return a detector with a suppression appended to its outputs."""
    openvino = load_openvino()
    by_name = {name: output for output in model.outputs for name in output.get_names()}
    for parameter in after.get_parameters():
        made = by_name[parameter.output(0).get_any_name()].get_node().input_value(0)
        names = parameter.output(0).get_names()
        parameter.output(0).replace(made)
        made.set_names(made.get_names() - names)
    pooled = [by_name[POOLED].get_node()] if POOLED in by_name else []
    return openvino.Model([*after.get_results(), *pooled], model.get_parameters(), model.get_friendly_name())
