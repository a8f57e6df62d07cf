"""Measure the findings of a detector in phantom volumes, in one plane and in three.

::

    python benchmarks/findings_planes.py --count 5

writes phantom volumes as NIfTI, runs ``medrov detect`` with and without ``--planes``, and prints the table of
``benchmarks/findings.py``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from findings import HEADER, Counts, exact_slices, union_boxes
from medrov_cli.core.detection.run import run_detection
from medrov_cli.core.phantoms.abdomen import PhantomVolume, abdomen_volume
from medrov_cli.core.phantoms.kinds import VOLUME_CLASSES
from medrov_cli.core.records.findings_json import is_volume_record
from medrov_cli.core.settings.choices import Axis
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.values import Prompt
from phantom_cuts import OTHER_PLANES


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--slices", type=int, default=44)
    parser.add_argument("--weights", default="medrov-n")
    options = parser.parse_args(arguments)
    one, three = Counts(), Counts()
    seconds = [0.0, 0.0]
    for seed in range(options.count):
        phantom = abdomen_volume(seed, slices=options.slices, size=options.size)
        truth = union_boxes(exact_slices(phantom), phantom)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "phantom.nii.gz"
            _write(phantom, path)
            for number, (counts, planes) in enumerate(((one, ()), (three, ("axial", *OTHER_PLANES)))):
                started = time.perf_counter()
                counts.add(truth, _detect(path, options.weights, planes))
                seconds[number] += time.perf_counter() - started
    rows = [one.row("phantoms, detector, axial"), three.row("phantoms, detector, three planes")]
    sys.stdout.write("\n".join([HEADER, *rows]) + "\n")
    sys.stdout.write(f"seconds: {seconds[0]:.1f} in one plane, {seconds[1]:.1f} in three\n")
    return 0


def _detect(path: Path, weights: str, planes: tuple[Axis, ...]) -> dict[str, np.ndarray]:
    found: dict[str, list[list[float]]] = {}
    classes = ClassSettings(classes=tuple(map(Prompt.parse, VOLUME_CLASSES)))
    settings = DetectSettings(inputs=(str(path),), weights=weights, classes=classes, planes=planes)

    def keep(record: dict[str, object]) -> None:
        if is_volume_record(record):
            for one in record["findings"]:  # type: ignore[attr-defined]
                found.setdefault(one["class"], []).append(one["box_mm"])

    run_detection(settings, on_record=keep)
    return {name: np.array(boxes) for name, boxes in found.items()}


def _write(phantom: PhantomVolume, path: Path) -> None:
    """Write a phantom as NIfTI: its columns rise to the left, its rows to the back, in RAS both fall."""
    step, row, column = phantom.spacing_mm
    voxels = np.transpose(phantom.voxels_hu, (2, 1, 0))
    nib.save(nib.Nifti1Image(voxels, np.diag([-column, -row, step, 1.0])), path)


if __name__ == "__main__":
    sys.exit(main())
