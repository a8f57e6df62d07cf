"""Cost of decoding in another process: time of commands, as they are and with decoding in their own process.

::

    python benchmarks/decoder_process.py --rounds 15

The script writes the inputs: a small JPEG 2000 DICOM file (a cold start), WebP images, and a video. Both
variants run in turn, A B A B, and the ratio is computed pair by pair.
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
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import UID, JPEG2000Lossless

from medrov_cli.core.records.frame import UInt8Array

_OURS = "from medrov_cli import cli; cli.main()"

_IN_PROCESS = """
import numpy
from medrov_cli.core.pixels import decoder_process, isolation
class InProcess:
    def __init__(self): self.server = decoder_process.DecoderServer(decoder_process.TASKS)
    def start(self, modules): pass
    def close(self): pass
    def borrow(self): return InProcess()
    def give_back(self, process): pass
    def ask(self, request, data, seconds):
        body, extra = self.server.answer(request, data)
        if body is None: return {**extra}, numpy.empty(0, numpy.uint8)
        answer = {"dtype": body.dtype.str, "shape": body.shape, "extra": {**extra}}
        return answer, body.reshape(-1).view(numpy.uint8)
isolation._pool = InProcess()
"""


Times = tuple[float, float]
"""Seconds, and processor time in seconds."""


def noise_image(side: int, seed: int) -> UInt8Array:
    """Return a smooth random image, uint8, (side, side, 3)."""
    small = np.random.default_rng(seed).integers(0, 256, (side // 16, side // 16, 3), np.uint8)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def write_dicom(path: Path, side: int) -> Path:
    """Write a grey DICOM file in JPEG 2000."""
    from pydicom.dataset import FileMetaDataset

    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", pydicom.uid.generate_uid()
    dataset.Modality, dataset.PhotometricInterpretation = "CT", "MONOCHROME2"
    dataset.Rows = dataset.Columns = side
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 16, 12, 11
    dataset.PixelRepresentation = 0
    values = noise_image(side, 0)[..., 0].astype(np.uint16) << 4
    dataset.PixelData = values.tobytes()
    dataset.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg")
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_webps(folder: Path, count: int, side: int) -> Path:
    """Write WebP images."""
    folder.mkdir()
    for n in range(count):
        Image.fromarray(noise_image(side, n)).save(folder / f"{n:03}.webp", quality=90)
    return folder


def write_video(path: Path, count: int, side: int) -> Path:
    """Write a video whose picture moves."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (side, side))
    image = noise_image(side, 0)
    for n in range(count):
        writer.write(np.roll(image, 4 * n, axis=1))
    writer.release()
    return path


def run(command: Sequence[str]) -> Times:
    """Run a command; return its seconds, and the processor time of it and its processes."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - this interpreter
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit {process.returncode}")
    return seconds, used.ru_utime + used.ru_stime


def paired_runs(
    arguments: Sequence[str], rounds: int
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the times of each pair: decoding in another process, and in the same one."""
    ours, in_process = (
        [sys.executable, "-c", program, "detect", *arguments] for program in (_OURS, _IN_PROCESS + _OURS)
    )
    for command in (ours, in_process):  # fills the caches
        run(command)
    return [(run(ours), run(in_process)) for _ in range(rounds)]


def main() -> None:
    """Print one line of JSON for each kind of input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=60, help="WebP images, and frames of the video")
    parser.add_argument("--side", type=int, default=1024, help="of these, in pixels")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--only", choices=("dicom", "webp", "video"), action="append")
    given = parser.parse_args()
    os.environ["MEDROV_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        makers: dict[str, Callable[[], Path]] = {
            "dicom": lambda: write_dicom(folder / "a.dcm", 256),
            "webp": lambda: write_webps(folder / "webp", given.images, given.side),
            "video": lambda: write_video(folder / "a.mp4", given.images, given.side),
        }
        for kind in given.only or makers:
            arguments = [str(makers[kind]()), "--imgsz", str(given.imgsz), "--format", "jsonl"]
            pairs = paired_runs(arguments, given.rounds)
            line: dict[str, object] = {"input": kind, "pairs": len(pairs)}
            for place, name_of in enumerate(("seconds", "processor_seconds")):
                ratios = [own[place] / other[place] for own, other in pairs]
                line[name_of] = [
                    round(statistics.median(pair[n][place] for pair in pairs), 3) for n in (0, 1)
                ]
                line[f"{name_of}_ratio"] = round(statistics.median(ratios), 3)
                line[f"{name_of}_ratio_range"] = [round(min(ratios), 3), round(max(ratios), 3)]
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
