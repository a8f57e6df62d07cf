"""Time of ``detect`` on a series of compressed slices against decoding alone, and the stages of one slice.

    python benchmarks/series_decoding.py --slices 300 --precision int8

The series is synthetic: slices of 512 pixels and 12 bits, waves with noise, in JPEG 2000 without loss.
Decoding alone is pydicom with its fastest decoder of this format, on as many threads as cores. ``detect`` is
a new process with all of its output. Both run in turn; figures are medians of seconds, and of processor
seconds with child processes.
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
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, JPEG2000Lossless, generate_uid

from decoders import grey_image
from medrov_cli.core.base.environment import usable_cores

_OURS = "from medrov_cli import cli; cli.main()"
_CT = "1.2.840.10008.5.1.4.1.1.2"


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_series(Path(folder) / "series", options.slices, options.side)
        detect(paths[0].parent, Path(folder) / "first", options.precision)
        runs = []
        for row in range(options.rounds):
            target = Path(folder) / f"out{row}"
            alone = timed(partial(decode, paths))
            runs.append((alone, timed(partial(detect, paths[0].parent, target, options.precision))))
    for column, unit in enumerate(("s", "processor s")):
        alone, ours = (statistics.median(run[side][column] for run in runs) for side in (0, 1))
        ratio = statistics.median(own[column] / other[column] for other, own in runs)
        print(f"decoding alone, {usable_cores()} threads: {alone:.2f} {unit}")
        print(f"medrov detect, {options.precision}: {ours:.2f} {unit}; ratio {ratio:.2f}")


def write_series(folder: Path, slices: int, side: int) -> list[Path]:
    """Write a CT series in JPEG 2000."""
    folder.mkdir()
    image, series, study = grey_image(side), generate_uid(), generate_uid()
    paths = []
    for row in range(slices):
        dataset = pydicom.Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UID(_CT)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series, study
        dataset.Modality, dataset.PhotometricInterpretation = "CT", "MONOCHROME2"
        dataset.Rows = dataset.Columns = side
        dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 16, 12, 11
        dataset.PixelRepresentation, dataset.InstanceNumber = 0, row + 1
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.ImagePositionPatient, dataset.PixelSpacing = [0, 0, float(row)], [0.7, 0.7]
        dataset.PixelData = np.roll(image, row, 1).tobytes()
        dataset.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
        paths.append(folder / f"{row:04}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def timed(run: Callable[[], None]) -> tuple[float, float]:
    """Return seconds and processor seconds, with child processes that have ended."""
    started, before = time.perf_counter(), os.times()
    run()
    after = os.times()
    return time.perf_counter() - started, sum(after[:4]) - sum(before[:4])


def decode(paths: list[Path]) -> None:
    """Read and decode all files."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(decode_one, paths))


def decode_one(path: Path) -> int:
    """Decode a file; return its number of pixels."""
    return int(pydicom.dcmread(path).pixel_array.size)


def detect(folder: Path, output: Path, precision: str) -> None:
    """Run ``medrov detect`` on a folder."""
    command = [sys.executable, "-c", _OURS, "detect", str(folder), "--output", str(output), "--offline"]
    subprocess.run([*command, "--precision", precision], check=True, capture_output=True)  # noqa: S603


if __name__ == "__main__":
    main()
