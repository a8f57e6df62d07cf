"""Mean of the parameters of weights files (model soup, arXiv 2203.05482).

    python weights/average.py runs/mean.safetensors runs/fourth/best.safetensors runs/third/best.safetensors

All files must be of one architecture, and should be of runs from the same start. The mean has the metadata of
the first file, without results, calibration and image kinds, which belong to a network.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medrov_cli.core.weights.container import (
    EMBEDDINGS,
    is_of_network,
    load_tensors,
    misfit,
    read_metadata,
    save,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("weights", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    average(options.target, options.weights)


def average(target: Path, weights: Sequence[Path]) -> None:
    """Write the mean of some files.

    Raises
    ------
    MedrovError
        ``weights_corrupt``: a file is of another architecture than the first.
    """
    metadata = read_metadata(weights[0])
    first, *others = (load_tensors(path) for path in weights)
    for path, other in zip(weights[1:], others, strict=True):
        if read_metadata(path).architecture != metadata.architecture:
            raise misfit(path, f"{weights[0]} has another architecture")
        absent = {name for name in first if is_of_network(name)} - other.keys()
        if absent:
            raise misfit(path, f"tensor {min(absent)!r} is missing")
    made = {}
    for name, value in first.items():
        if is_of_network(name):
            rows = [own[name].astype(np.float64) for own in (first, *others)]
            made[name] = np.mean(rows, axis=0).astype(value.dtype)
        elif name == EMBEDDINGS:
            made[name] = value
    results = {"val": metadata.results["val"]} if "val" in metadata.results else {}
    plain = dataclasses.replace(metadata, results=results, calibration=None, kinds=None)
    save(target, made, plain)


if __name__ == "__main__":
    main()
