"""Measure what linking, DICOM results and other planes cost for a series of many slices.

::

    python benchmarks/result_cost.py --slices 300 --rounds 3

A phantom volume is written as a DICOM series. It is searched without linking (the collector of volumes is
replaced by one that keeps nothing), then with it, then with ``--format sr,gsps``. The runs alternate, each
in a process of its own; the table has medians of time and of CPU time (which a busy machine changes less),
and the largest memory. ``--planes`` adds one run with ``--planes axial,coronal,sagittal``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from medrov_cli.core.phantoms.abdomen import PhantomVolume, abdomen_volume

WRITE = "write-series"
BASE = "not linked"
_WITHOUT_LINKING = """
import os
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the command line, before the import of numpy
from medrov_cli.core.detection.volume_findings import FindingsCollector
FindingsCollector.add = FindingsCollector.finish = lambda *_: iter(())
from medrov_cli.__main__ import main
main()
"""
ROOT_UID = "2.25.1234567890"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="medrov-n")
    parser.add_argument("--planes", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        series = Path(folder) / "series"
        # In another process: the memory of a child counts from that of its parent.
        sizes = (str(series), str(options.slices), str(options.size))
        subprocess.run([sys.executable, __file__, WRITE, *sizes], check=True)  # noqa: S603
        program, plain = ["-m", "medrov_cli"], ["-c", _WITHOUT_LINKING]
        runs = {
            BASE: [*plain, "detect", str(series)],
            "linked": [*program, "detect", str(series)],
            "linked, SR and GSPS": [*program, "detect", str(series), "--format", "sr,gsps"],
        }
        seconds: dict[str, list[float]] = {title: [] for title in runs}
        cpu: dict[str, list[float]] = {title: [] for title in runs}
        peaks: dict[str, float] = {}
        counts: dict[str, str] = {}
        for _ in range(options.rounds):
            for title, own in runs.items():
                elapsed, used, peaks[title], counts[title] = _run(own, Path(folder) / "out", options.weights)
                seconds[title].append(elapsed)
                cpu[title].append(used)
        if options.planes:
            title = "three planes"
            own = [*program, "detect", str(series), "--planes", "axial,coronal,sagittal"]
            elapsed, used, peaks[title], counts[title] = _run(own, Path(folder) / "out", options.weights)
            seconds[title], cpu[title] = [elapsed], [used]
    sys.stdout.write(
        "| run | seconds | added | CPU seconds | added | memory, MiB |\n|---|---|---|---|---|---|\n"
    )
    for title in seconds:
        cells = " | ".join(_cell(values[title], values[BASE]) for values in (seconds, cpu))
        sys.stdout.write(f"| {title} | {cells} | {peaks[title]:.0f} |\n")
    sys.stdout.write("".join(f"{title}: {text}\n" for title, text in counts.items()))
    return 0


def write_series(phantom: PhantomVolume, folder: Path) -> list[Path]:
    """Write a phantom as a CT series, uncompressed; return its files."""
    folder.mkdir()
    step, row, column = phantom.spacing_mm
    files = []
    for number, pixels in enumerate(phantom.voxels_hu):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"{ROOT_UID}.1.{number + 1}"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image = FileDataset(str(folder / f"{number:04}.dcm"), {}, file_meta=meta, preamble=b"\0" * 128)
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID, image.SeriesInstanceUID = f"{ROOT_UID}.2", f"{ROOT_UID}.1"
        image.FrameOfReferenceUID = f"{ROOT_UID}.3"
        image.Modality, image.PatientID, image.PatientName = "CT", "phantom", "Phantom"
        image.PatientBirthDate = image.PatientSex = image.StudyID = image.AccessionNumber = ""
        image.StudyDate, image.StudyTime, image.ReferringPhysicianName = "20260101", "120000", ""
        image.SeriesNumber, image.InstanceNumber, image.ImageType = (
            1,
            number + 1,
            ["ORIGINAL", "PRIMARY", "AXIAL"],
        )
        image.Manufacturer = ""
        image.ImagePositionPatient = [0.0, 0.0, round(number * step, 4)]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.PixelSpacing, image.SliceThickness = [round(row, 6), round(column, 6)], round(step, 4)
        image.Rows, image.Columns = pixels.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, 0, "HU"
        image.PixelData = np.ascontiguousarray(pixels).tobytes()
        files.append(folder / f"{number:04}.dcm")
        pydicom.dcmwrite(files[-1], image)
    return files


def _cell(values: Sequence[float], base: Sequence[float]) -> str:
    median = statistics.median(values)
    return f"{median:.1f} | {100 * (median / statistics.median(base) - 1):+.1f} %"


def _run(own: Sequence[str], output: Path, weights: str) -> tuple[float, float, float, str]:
    """Return seconds, seconds of CPU, largest memory in MiB, and the last line of a run."""
    command = [sys.executable, *own, "--weights", weights, "--output", str(output), "--overwrite"]
    with tempfile.TemporaryFile("w+") as text:
        started = time.perf_counter()
        process = subprocess.Popen(command, stderr=text)  # noqa: S603
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        text.seek(0)
        lines = text.read().splitlines()
    if process.returncode:
        raise SystemExit("\n".join(lines))
    return elapsed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, lines[-1]


if __name__ == "__main__":
    if sys.argv[1:2] == [WRITE]:
        _, _, name, slices, size = sys.argv
        write_series(abdomen_volume(0, slices=int(slices), size=int(size)), Path(name))
        sys.exit(0)
    sys.exit(main())
