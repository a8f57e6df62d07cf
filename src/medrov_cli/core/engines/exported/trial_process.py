"""The process of a trial: it opens an exported model in an engine, twice, and runs it on an image.

    python -m medrov_cli.core.engines.exported.trial_process

The request on standard input is the JSON object of `trial.TrialRequest` with ``cpu_seconds`` and
``memory_bytes``. The answer on standard output is an empty object, or an error. The second time, the engine
reads the compiled model from the cache, as the caller does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.child_processes import end_first, limit_cpu, limit_data
from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.network_fence import forbid_network
from medrov_cli.core.engines.exported.open_exported import open_untried
from medrov_cli.core.engines.exported.outputs import class_count
from medrov_cli.core.engines.exported.read_exported import ExportedModel, read_exported
from medrov_cli.core.engines.exported.trial import TrialRequest
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.settings.choices import EngineName, Precision

_OPENED = 2
_FLOOR = 0.001


def try_model(request: TrialRequest) -> None:
    """Open a model and run it on an image of noise.

    Raises
    ------
    MedrovError
        Errors of the engine.
    """
    model = read_exported(Path(request.path))
    rng = np.random.default_rng(0)
    embeddings = None
    if request.embeddings is not None:
        embeddings = rng.standard_normal((request.embeddings, TEXT_WIDTH)).astype(np.float32)
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    image = rng.integers(0, 256, (1, request.imgsz, request.imgsz, 3), np.uint8)
    for _ in range(_OPENED):
        engine = open_untried(
            model,
            embeddings,
            EngineName(request.engine),
            Precision(request.precision),
            imgsz=request.imgsz,
            streams=request.streams,
        )
        (found,) = engine.infer(image, _FLOOR)
        _require_usable(found, model, class_count(model.metadata, embeddings))


def _require_usable(found: Candidates, model: ExportedModel, classes: int) -> None:
    """Raise a ``ValueError`` unless the outputs have the shapes that the metadata promises."""
    rows = len(found.scores)
    if found.boxes_xyxy.shape != (rows, 4) or found.scores.shape != (rows, classes):
        raise ValueError("boxes or scores")
    expected = None if model.kinds is None else model.kinds.tensors.padding.shape
    if found.pooled is not None and expected not in (None, found.pooled.shape):
        raise ValueError("pooled features")


def main() -> None:
    """Answer one request; Ctrl-C is the matter of the parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    target = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # libraries may print
    os.dup2(null, 2)
    request = json.load(sys.stdin.buffer)
    forbid_network()
    end_first()
    limit_cpu(request.pop("cpu_seconds"))
    limit_data(request.pop("memory_bytes"))
    answer: dict[str, Any] = {}
    try:
        try_model(TrialRequest(**request))
    except MedrovError as error:
        answer = {"code": error.code.value, "message": error.message, "hint": error.hint}
    except Exception as error:  # noqa: BLE001 - an engine may raise any exception
        answer = {"error": type(error).__name__}
    target.write(json.dumps(answer))
    target.flush()


if __name__ == "__main__":
    main()
