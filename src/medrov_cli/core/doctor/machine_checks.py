"""Checks of engines, text encoders, weights and the cache."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from medrov_cli.core.base.constants import DEFAULT_TEXT_ENCODER, DEFAULT_WEIGHTS, TEXT_WIDTH
from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.optional import (
    OPEN_CLIP,
    TORCH_NETWORK,
    install_command,
    is_installed,
    require_packages,
)
from medrov_cli.core.doctor.report import Check, CheckGroup, CheckResult, probe
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.records.folded_text import FoldedText

_SIDE = 64
_CACHE_HINT = "Set MEDROV_CACHE to a writable folder."


def engine_checks() -> list[Check]:
    """Return one check per inference engine, which builds and runs a detector; one engine is sufficient.

    Torch is needed if it is installed: ``--device auto`` chooses it on a machine with a GPU. A lean
    installation needs one of the other engines.
    """
    is_lean = not is_installed("torch")
    openvino, onnx = (f"Run: {install_command([name])}" for name in ("openvino", "onnxruntime"))
    fastest = probe(CheckGroup.ENGINES, "openvino", _try_openvino, needed=False, hint=openvino)
    is_last = is_lean and not fastest.works
    return [
        fastest,
        probe(CheckGroup.ENGINES, "onnx", _try_onnx, needed=is_last, hint=onnx),
        probe(CheckGroup.ENGINES, "torch", _try_torch, needed=not is_lean),
    ]


def encoder_checks() -> Iterator[Check]:
    """Yield one check per kind of text encoder."""
    yield probe(CheckGroup.TEXT_ENCODERS, DEFAULT_TEXT_ENCODER, _try_default_encoder, needed=True)
    yield probe(CheckGroup.TEXT_ENCODERS, "hf-hub:, local-dir:", _try_open_clip, needed=False)


def weights_checks() -> list[Check]:
    """Return one check per entry of the manifest, first the default weights, which are required.

    The default weights are read completely. Of the others only the SHA-256 is checked, and missing weights
    are not a failure.
    """
    from medrov_cli.core.weights.listing import Availability, list_weights

    default = probe(CheckGroup.WEIGHTS, DEFAULT_WEIGHTS, _verify_default_weights, needed=True)
    if not default.works and not _manifest_is_whole():
        return [default]
    others = [
        Check(
            CheckGroup.WEIGHTS,
            item.entry.name,
            works=item.availability in (Availability.PRESENT, Availability.TO_PULL),
            needed=False,
            detail=item.availability.value.replace("_", " "),
            hint=f"Run: medrov weights pull {item.entry.name}",
            facts={
                "path": None if item.path is None else str(item.path),
                "sha256": item.entry.sha256,
                "bytes": item.entry.size_bytes,
            },
        )
        for item in list_weights()
        if item.entry.name != DEFAULT_WEIGHTS
    ]
    return [default, *others]


def cache_check() -> Check:
    """Return a check that the cache is writable; without it embeddings are computed in each run."""
    folder = cache_dir()
    return probe(CheckGroup.CACHE, str(folder), partial(_try_cache, folder), needed=False, hint=_CACHE_HINT)


def _try_openvino() -> CheckResult:
    from medrov_cli.core.engines.openvino_engine import OpenVinoEngine
    from medrov_cli.core.engines.openvino_import import load_openvino
    from medrov_cli.core.engines.openvino_streams import computes_in_bf16
    from medrov_cli.core.settings.choices import Precision

    openvino = load_openvino()
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    graph, text = _graph_and_text()
    threads = _searched(OpenVinoEngine(graph, None, text, _SIDE, Precision.FP32, 1))
    facts = {"version": str(openvino.__version__), "devices": ["cpu"], "threads": threads}
    facts |= {"bf16": computes_in_bf16(), "int8": "INT8" in able}
    formats = ["fp32", *(name for name in ("bf16", "int8") if facts[name])]
    return CheckResult(f"{openvino.__version__}; cpu; {', '.join(formats)}; {threads} threads", facts)


def _try_onnx() -> CheckResult:
    from medrov_cli.core.engines.onnx_engine import OnnxEngine
    from medrov_cli.core.engines.onnxruntime_import import load_onnxruntime

    onnxruntime = load_onnxruntime()
    graph, text = _graph_and_text()
    threads = _searched(OnnxEngine(graph, text, _SIDE))
    facts = {"version": str(onnxruntime.__version__), "devices": ["cpu"], "threads": threads}
    return CheckResult(f"{onnxruntime.__version__}; cpu; {threads} threads", facts)


def _graph_and_text() -> tuple[Callable[[tuple[int, int]], bytes], FoldedText]:
    """Return a function of a size to the graph of the default weights, and one folded class."""
    from medrov_cli.core.model.loading import load_folded, load_graph
    from medrov_cli.core.weights import resolution

    path = resolution.resolve(DEFAULT_WEIGHTS)
    return partial(load_graph, path), load_folded(path, np.eye(1, TEXT_WIDTH, dtype=np.float32))


def _searched(engine: Engine) -> int:
    """Run an engine on an empty image; return its number of threads."""
    from medrov_cli.core.base.environment import usable_cores

    (found,) = engine.infer(np.zeros((1, _SIDE, _SIDE, 3), np.uint8))
    if not (np.isfinite(found.boxes_xyxy).all() and np.isfinite(found.scores).all()):
        raise ValueError("the detector's output is not finite")
    return usable_cores()


def _try_torch() -> CheckResult:
    require_packages("--engine torch", TORCH_NETWORK)
    import torch

    from medrov_cli.core.model.network import Architecture, Detector
    from medrov_cli.core.model.precision import choose_precision

    detector = Detector(Architecture("n", text_adapter=False)).eval()
    with torch.inference_mode():
        boxes, scores = detector.detect(torch.zeros(1, 3, _SIDE, _SIDE), torch.eye(1, TEXT_WIDTH))
        ones = torch.ones(1, 1, 3, 3, dtype=torch.bfloat16)
        nine = torch.nn.functional.conv2d(ones, ones).item()
    if not bool(torch.isfinite(boxes).all() and torch.isfinite(scores).all()):
        raise ValueError("the detector's output is not finite")
    devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    precision = choose_precision("auto", "auto")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    threads = torch.get_num_threads()
    return CheckResult(
        f"{torch.__version__}; {', '.join(devices)}; {threads} threads; trains in {precision}",
        {
            "version": str(torch.__version__),
            "devices": devices,
            "device_names": ["CPU", *names, *(["Apple GPU"] if "mps" in devices else [])],
            "threads": threads,
            "bf16": nine == 9,
            "train_precision": {"name": precision.name, "reason": precision.reason},
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        },
    )


def _try_default_encoder() -> CheckResult:
    from medrov_cli.core.text.minilm.encoder import MiniLmEncoder, find_minilm

    encoder = MiniLmEncoder(find_minilm(), reread=True)
    norms = np.linalg.norm(encoder.encode(["lung nodule"]), axis=1)
    if not np.allclose(norms, 1, atol=1e-3):
        raise ValueError(f"an embedding has the length {norms[0]}, not 1")
    identity = encoder.identity
    return CheckResult(identity.name, {"sha256": identity.revision, "width": identity.width})


def _try_open_clip() -> CheckResult:
    require_packages("text encoders of open_clip", OPEN_CLIP)
    found = {name: str(importlib.import_module(name).__version__) for name in ("open_clip", "transformers")}
    return CheckResult(", ".join(f"{name} {version}" for name, version in found.items()), {"versions": found})


def _verify_default_weights() -> CheckResult:
    from medrov_cli.core.model.verification import verify_weights

    found = verify_weights(DEFAULT_WEIGHTS)
    facts = {"path": str(found.path), "sha256": found.sha256, "bytes": found.size_bytes}
    return CheckResult(f"{found.path}, {found.size_bytes / 1e6:.1f} MB", facts)


def _manifest_is_whole() -> bool:
    from medrov_cli.core.base.errors import MedrovError
    from medrov_cli.core.weights.catalogue import manifest

    try:
        manifest()
    except MedrovError:
        return False
    return True


def _try_cache(folder: Path) -> CheckResult:
    # The check does not create the folder.
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise PermissionError(f"{nearest} cannot be written")
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    detail = f"{size_bytes / 1e6:.1f} MB" if folder.exists() else "empty"
    return CheckResult(detail, {"path": str(folder), "exists": folder.exists(), "bytes": size_bytes})
