"""Timing of text encoders: cold and warm, classes from the cache, a change of the vocabulary.

::

    python benchmarks/text_encoder.py --classes 1000
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from detection_script import add_classes, option_parser, right_aligned, run_script, settings_from
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.benchmarking.benchmark_model import BenchmarkModel
from medrov_cli.core.benchmarking.rounds import rounded
from medrov_cli.core.benchmarking.run import benchmark_document
from medrov_cli.core.settings.benchmark import ROUNDS
from medrov_cli.core.settings.values import parse_classes
from medrov_cli.core.weights import container

CLASSES = 1000
"""Default number of cached classes."""

WARM_TEXTS = 50

_COLD = (
    "from medrov_cli.core.text.embedding import embed_texts; "
    "embed_texts(['synthetic text'], encoder={!r}, offline=True)"
)
_PROBE = "import sys; sys.path.append({!r}); from text_encoder import probe; probe({!r}, {!r}, {!r}, {!r})"


def time_text(path: Path, classes: int, rounds: int) -> dict[str, Any]:
    """Return the ``text`` object of the document.

    Everything runs in new processes with an empty cache folder; the user's cache is not changed.

    Parameters
    ----------
    path
        Weights file, with its text encoder and the network of the folded classes.
    classes
        Number of synthetic class names, which are not in the lexicon.
    rounds
        Number of measurements of each figure, of which the median is reported.
    """
    encoder = container.read_metadata(path).text_encoder.spec
    cold = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="medrov-benchmark-") as cache:
            cold.append(_timed(partial(_python, _COLD.format(encoder), cache)))
    with tempfile.TemporaryDirectory(prefix="medrov-benchmark-") as cache:
        output = Path(cache) / "figures.json"
        _python(_PROBE.format(str(Path(__file__).parent), str(path), classes, rounds, str(output)), cache)
        found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return {"encoder": encoder, "classes": classes, "cold_process_ms": _median(cold), **found}


def probe(path: str, classes: int, rounds: int, output: str) -> None:
    """Measure the figures of a running process, and write them as JSON; runs in a process of its own."""
    from medrov_cli.core.model.folding import fold_text
    from medrov_cli.core.prediction.classes import ClassList
    from medrov_cli.core.text.encoders import open_encoder

    file = Path(path)
    metadata, tensors = container.read_metadata(file), container.load_tensors(file)
    spec = metadata.text_encoder.spec
    prompts = parse_classes(", ".join(f"synthetic class {number}" for number in range(classes)))

    def fold() -> Any:
        return ClassList.from_prompts(prompts, metadata, encoder=None, offline=True)

    loading = [_timed(lambda: open_encoder(spec, offline=True)) for _ in range(rounds)]
    encoder = open_encoder(spec, offline=True)
    new_text = [_timed(partial(encoder.encode, [f"another class {number}"])) for number in range(WARM_TEXTS)]
    embeddings = fold().embeddings  # encodes and stores
    cached = [_timed(fold) for _ in range(rounds)]
    folding = [_timed(lambda: fold_text(tensors, embeddings)) for _ in range(rounds)]
    figures = {
        "load_encoder_ms": _median(loading),
        "warm_text_ms": _median(new_text),
        "cached_classes_ms": _median(cached),
        "fold_classes_ms": _median(folding),
        "change_of_vocabulary_ms": _median([a + b for a, b in zip(cached, folding, strict=True)]),
    }
    Path(output).write_text(json.dumps(figures), encoding="utf-8")


def _python(code: str, cache: str) -> None:
    """Run code in a new process with its own cache folder."""
    environment = {**os.environ, "MEDROV_CACHE": cache}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)  # noqa: S603


def _timed(action: Callable[[], object]) -> float:
    """Return the time of an action in milliseconds."""
    started = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - started)


def _median(values: list[float]) -> float:
    return rounded(statistics.median(values))


def measure(options: argparse.Namespace, advance: Progress) -> dict[str, Any]:
    """Return the document with the section ``text``."""
    config = settings_from(options)
    model = BenchmarkModel.from_settings(config)
    advance(0, None, "text encoder")
    section = time_text(model.path, config.classes or CLASSES, config.rounds or ROUNDS)
    return benchmark_document(config, model, 0, {"text": section})


def render(document: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield the table of a document."""
    section = document["text"]
    table = right_aligned(f"text encoder {section['encoder']}", "ms")
    classes = f"{section['classes']} cached classes"
    for label, key in (
        ("new process to the embedding of one new text", "cold_process_ms"),
        ("loading the encoder", "load_encoder_ms"),
        ("one more text", "warm_text_ms"),
        (f"{classes}, from the cache", "cached_classes_ms"),
        (f"{classes}, folded for the network", "fold_classes_ms"),
        (f"{classes}, both: a change of vocabulary", "change_of_vocabulary_ms"),
    ):
        table.add_row(label, f"{section[key]:.1f}")
    yield table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = option_parser(__doc__)
    add_classes(parser)
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    options = parser.parse_args(arguments)
    return run_script(partial(measure, options), render, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
