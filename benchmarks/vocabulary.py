"""Timing of a change of vocabulary: an encoder cold and warm, and classes from the cache.

    python benchmarks/vocabulary.py --classes 1000

The class names are synthetic and not in the lexicon. The cache folder is temporary.

- cold: a new process from its start to the embedding of one new text;
- warm: one further text with the same encoder;
- cached: `ClassList.from_prompts` (embeddings, modalities) of all classes, in a running process and in a new
one; the imports of the new one are reported separately.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

_COLD = (
    "from medrov_cli.core.text.embedding import embed_texts; "
    "embed_texts(['synthetic text'], encoder={encoder!r})"
)
_CACHED = """
import time
start = time.perf_counter()
from medrov_cli.core.weights import container
from medrov_cli.core.weights import resolution
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.settings.values import parse_classes
metadata = container.read_metadata(resolution.resolve({weights!r}))
prompts = parse_classes({names!r})
ready = time.perf_counter()
ClassList.from_prompts(prompts, metadata, encoder={encoder!r}, offline=True)
print(ready - start, time.perf_counter() - ready)
"""


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--text-encoder", default="minilm", help="minilm, hf-hub:ORG/NAME or local-dir:PATH")
    parser.add_argument("--weights", default="medrov-n")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MEDROV_CACHE"] = cache  # this process and its children
        for name, milliseconds in _measure(arguments):
            low, middle, high = min(milliseconds), statistics.median(milliseconds), max(milliseconds)
            print(f"{name:56} {middle:9.2f} ms  ({low:.2f} to {high:.2f})")


def _measure(arguments: argparse.Namespace) -> list[tuple[str, list[float]]]:
    from medrov_cli.core.prediction.classes import ClassList
    from medrov_cli.core.settings.values import parse_classes
    from medrov_cli.core.text.encoders import open_encoder
    from medrov_cli.core.weights import container, resolution

    encoder, repeats = arguments.text_encoder, arguments.repeats
    metadata = container.read_metadata(resolution.resolve(arguments.weights))
    names = ", ".join(f"synthetic class {number}" for number in range(arguments.classes))
    prompts = parse_classes(names)

    def embed() -> None:
        ClassList.from_prompts(prompts, metadata, encoder=encoder, offline=False)

    loaded = open_encoder(encoder)

    def encode() -> None:
        loaded.encode(["another class"])

    embed()  # encodes and stores
    code = _CACHED.format(weights=arguments.weights, names=names, encoder=encoder)
    fresh = [[1e3 * float(seconds) for seconds in _python(code).split()] for _ in range(repeats)]
    return [
        (f"{encoder}: cold, a new process to one new text", [_cold(encoder) for _ in range(repeats)]),
        (f"{encoder}: loading alone", [_timed(lambda: open_encoder(encoder)) for _ in range(repeats)]),
        (f"{encoder}: warm, one new text", [_timed(encode) for _ in range(10 * repeats)]),
        (f"{arguments.classes} cached classes, running process", [_timed(embed) for _ in range(repeats)]),
        (f"{arguments.classes} cached classes, new process", [own for _, own in fresh]),
        ("imports, weights' header and class list before that", [before for before, _ in fresh]),
    ]


def _cold(encoder: str) -> float:
    """Return the time of a new process with an empty cache for one text, in milliseconds."""
    with tempfile.TemporaryDirectory() as cache:
        return _timed(lambda: _python(_COLD.format(encoder=encoder), MEDROV_CACHE=cache))


def _python(code: str, **environment: str) -> str:
    """Return the output of code in a separate process."""
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, env={**os.environ, **environment}, text=True)  # noqa: S603


def _timed(action: Callable[[], object]) -> float:
    """Return the time of an action in milliseconds."""
    start = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
