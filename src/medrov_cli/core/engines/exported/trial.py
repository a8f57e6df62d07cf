"""Trial of an exported model in another process, because a hostile graph can end the process that runs it.

The runtimes compile and run graphs in native code. A model that survived a trial is remembered in the cache
by its content, so that each model is tried once.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from medrov_cli.core.base.child_processes import module_command, module_environment
from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import ErrorCode, MedrovError, warn_of_cache
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.memory_limits import usable_memory_bytes
from medrov_cli.core.engines.exported.export_metadata import corrupt
from medrov_cli.core.settings.choices import EngineName

MODULE = "medrov_cli.core.engines.exported.trial_process"
"""Module that the process runs."""

TRIALS_FOLDER = "trials"
"""Folder of survived trials in the cache."""

_MOST_KEPT = 1000

_CPU_SECONDS = 10
_CPU_SECONDS_A_MEBIBYTE = 0.5
"""Processor time for each MiB of weights at `_USUAL_IMGSZ`."""

_USUAL_IMGSZ = 640

_WALL_SECONDS = 600
"""Time in addition to the processor time, because the machine may be busy."""

_MEMORY_SHARE = 0.75
"""Fraction of the usable memory that a trial may take."""


class TrialRequest(NamedTuple):
    """What decides whether a model runs.

    Attributes
    ----------
    path, sha256
        The ``.onnx`` or ``.xml`` file.
    engine
        Engine: OpenVINO or ONNX Runtime.
    imgsz
        Side of the square model input, in pixels.
    embeddings
        Number of class embeddings of an open model; null for fixed classes.
    precision
        Number format of the forward pass.
    streams
        Number of images in parallel.
    """

    path: str
    sha256: str
    engine: str
    imgsz: int
    embeddings: int | None
    precision: str
    streams: int


def require_survived(request: TrialRequest) -> None:
    """Compile a model and run it on an image in another process, unless that was done before.

    Raises
    ------
    MedrovError
        ``weights_corrupt`` if the process ends, or takes too much time or memory; errors of the engine.
    """
    mark = _mark(request)
    if _is_remembered(mark):
        return
    path = Path(request.path)
    answer = _try(request)
    if answer is None:
        raise corrupt(str(path), "the engine ends abnormally, or takes too much time or memory")
    if "code" in answer:
        raise MedrovError(ErrorCode(answer["code"]), answer["message"], answer["hint"])
    if "error" in answer:
        raise corrupt(str(path), f"the engine fails on an image ({answer['error']})")
    _remember(mark)


def _try(request: TrialRequest) -> dict[str, Any] | None:
    """Return the answer of the process; null if it ended without one."""
    path = Path(request.path)
    content = [path, path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else [path]
    mebibytes = sum(file.stat().st_size for file in content) / 2**20
    scale = max(1.0, (request.imgsz / _USUAL_IMGSZ) ** 2)
    cpu_seconds = int(_CPU_SECONDS + _CPU_SECONDS_A_MEBIBYTE * mebibytes * scale)
    limits = {"cpu_seconds": cpu_seconds, "memory_bytes": int(usable_memory_bytes() * _MEMORY_SHARE)}
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter and a module of ours
            module_command(MODULE),
            input=json.dumps({**request._asdict(), **limits}).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=module_environment(),
            timeout=_WALL_SECONDS + cpu_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return None
    return dict(answer) if isinstance(answer, Mapping) and not done.returncode else None


def _mark(request: TrialRequest) -> str:
    """Return the name of a trial in the cache: content of the model, engine with its version, settings."""
    package = "openvino" if request.engine == EngineName.OPENVINO else "onnxruntime"
    try:
        own = version(package)
    except PackageNotFoundError:
        own = ""
    known = [*request._replace(path="", streams=0), own, platform.machine()]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _place(mark: str) -> Path:
    return cache_dir() / TRIALS_FOLDER / f"{mark[:32]}.txt"


def _is_remembered(mark: str) -> bool:
    place = _place(mark)
    try:
        content = place.read_bytes()
    except OSError:
        return False
    if content == mark.encode():
        with suppress(OSError):
            place.touch()
        return True
    warn_of_cache(f"the entry {place} is damaged and is made again")
    with suppress(OSError):
        place.unlink()
    return False


def _remember(mark: str) -> None:
    """Store a survived trial; a read-only folder is not an error."""
    place = _place(mark)
    with suppress(OSError, MedrovError):
        with whole_file(place) as temporary:
            temporary.write_text(mark, encoding="ascii")
        kept = sorted(place.parent.glob("*.txt"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_MOST_KEPT]:
            path.unlink(missing_ok=True)
