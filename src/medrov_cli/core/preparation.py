"""Procedure of ``medrov weights prepare``: a cache folder that is complete before the first run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import DEFAULT_TEXT_ENCODER, MAX_COMPILED
from medrov_cli.core.base.environment import changed_environment, usable_cores
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.engines.compiled_cache import COMPILED_FOLDER, COMPILED_SUFFIX
from medrov_cli.core.prediction.input_shape import with_input_shape
from medrov_cli.core.prediction.model_file import ModelFile, read_model_file
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.records.letterbox import rectangle_sizes
from medrov_cli.core.settings.choices import EngineName
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.settings.weights import WeightsPrepareSettings
from medrov_cli.core.text.minilm.encoder import MiniLmEncoder, find_minilm
from medrov_cli.core.text.prompts import read_classes

SCHEMA = "medrov.weights.prepare/1"


@dataclass(frozen=True, slots=True)
class PreparedCache:
    """Content of a prepared cache folder.

    Attributes
    ----------
    folder
        The cache folder.
    weights
        Name of the model.
    engine
        Engine and number format, as in the records of ``detect``.
    imgsz
        Side of the square model input, in pixels.
    cores
        Numbers of cores for which it is prepared.
    compiled
        Number of compiled graphs; 0 for ONNX Runtime, which stores none.
    texts
        Number of texts with an embedding in the cache or in the package.
    size_bytes
        Size of all files of the folder.
    """

    folder: Path
    weights: str
    engine: str
    imgsz: int
    cores: tuple[int, ...]
    compiled: int
    texts: int
    size_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "schema": SCHEMA,
            "cache": str(self.folder),
            "weights": self.weights,
            "engine": self.engine,
            "imgsz": self.imgsz,
            "cores": list(self.cores),
            "compiled": self.compiled,
            "texts": self.texts,
            "bytes": self.size_bytes,
        }


def prepare_cache(
    settings: WeightsPrepareSettings, progress: Progress = no_progress, *, stdin: Iterable[str] | None = None
) -> PreparedCache:
    """Compile the network, and compute embeddings, into a cache folder.

    Compiled graphs are valid for this version of OpenVINO and this type of CPU.

    Parameters
    ----------
    progress
        Called with the number of finished parts, their total and the part.
    stdin
        Lines of standard input, for ``--classes-file -``.

    Raises
    ------
    MedrovError
        ``USAGE``; ``OUTPUT_FAILED`` if the folder cannot be written; the codes of weights, engines and text
        encoders.
    """
    settings.check()
    prompts = read_classes(settings.classes, stdin)
    cores = settings.cores or (usable_cores(),)
    with changed_environment({"MEDROV_CACHE": str(settings.cache.absolute())}):
        _require_writable(settings.cache)
        begun = time.time_ns()
        file = read_model_file(settings.weights)
        is_compiled = file.choose_engine(settings.runtime) is EngineName.OPENVINO
        runtime = with_input_shape(file, settings.runtime)
        has_sizes = is_compiled and runtime.rectangles
        sizes = rectangle_sizes(runtime.imgsz or file.imgsz) if has_sizes else []
        graphs = len(cores) * max(1, len(sizes))
        if is_compiled and graphs > MAX_COMPILED:
            raise usage_error(
                f"--cores: these are {graphs} graphs, and the cache holds {MAX_COMPILED}",
                "Name fewer, or fill several folders.",
            )
        progress(0, len(cores) + 1, "embeddings")
        texts = _embed(file, prompts, offline=settings.offline)
        for done, count in enumerate(cores, 1):
            progress(done, len(cores) + 1, f"graph for {count} core(s)")
            with changed_environment({"OMP_NUM_THREADS": str(count)}):
                predictor = Predictor.open(settings.weights, None, settings.runtime)
                for height, width in sizes:  # the engine compiles the graph of a size at its first image
                    predictor.infer(np.zeros((1, height, width, 3), np.uint8))
            predictor.close()
        compiled = sum(path.stat().st_mtime_ns >= begun for path in _compiled(settings.cache))
        if is_compiled and compiled < graphs:
            raise _not_written(settings.cache)
    identity = predictor.identity
    if identity is None:
        raise ValueError("a predictor of a file has an identity")
    size_bytes = sum(path.stat().st_size for path in settings.cache.rglob("*") if path.is_file())
    return PreparedCache(
        settings.cache, identity.name, identity.engine, identity.imgsz, cores, compiled, texts, size_bytes
    )


def _embed(file: ModelFile, prompts: Sequence[Prompt], *, offline: bool) -> int:
    """Embed the classes of the model and further ones; return the number of texts."""
    if file.classes is not None:  # fixed: a request for others is refused, as in detect
        file.find_classes(prompts, encoder=None, offline=offline)
        return 0
    own = [Prompt(entry.name, entry.synonyms or (entry.name,)) for entry in file.metadata.vocabulary]
    wanted = [*own, *prompts]
    if wanted:
        file.find_classes(wanted, encoder=None, offline=offline)
    if file.text_encoder == DEFAULT_TEXT_ENCODER:
        MiniLmEncoder(find_minilm())  # stores the SHA-256 of its weights
    return len({text for prompt in wanted for text in prompt.synonyms})


def _require_writable(folder: Path) -> None:
    probe = folder / ".medrov-write-test"
    with whole_file(probe) as temporary:
        temporary.touch()
    probe.unlink()


def _compiled(folder: Path) -> list[Path]:
    return list((folder / COMPILED_FOLDER).glob(f"*{COMPILED_SUFFIX}"))


def _not_written(folder: Path) -> MedrovError:
    return MedrovError(
        ErrorCode.OUTPUT_FAILED,
        f"the compiled graphs are not in {folder}",
        "Check the free space of the disk, then run again.",
    )
