"""Many hostile inputs for one target, with accounts of deaths, internal errors, hangs and memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from target import Input, Target

CHILD = Path(__file__).with_name("child.py")
HANG_SECONDS = 20
"""Processor time of an input, with that of decoder processes: it does not depend on the load."""

STALL_SECONDS = 600
"""Time of an input that computes nothing."""

START_SECONDS = 60
PEAK_BYTES = 2 << 30
INPUTS_A_CHILD = 3000
"""Inputs after which the child is replaced, so that its memory is measured from a small process."""


@dataclass
class Tally:
    """Figures of a campaign.

    Attributes
    ----------
    deaths, internal, hangs, peaks
        Inputs that ended the child, gave an exception or the code ``internal``, took over `HANG_SECONDS` or
        `STALL_SECONDS`, or over `PEAK_BYTES` of memory.
    results
        Number of inputs by result.
    """

    target: str
    seed: int
    inputs: int = 0
    deaths: int = 0
    internal: int = 0
    hangs: int = 0
    peaks: int = 0
    largest_peak_mib: int = 0
    longest_seconds: float = 0.0
    results: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> int:
        """Return the number of inputs that broke the contract."""
        return self.deaths + self.internal + self.hangs + self.peaks

    def as_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))


class Child:
    """Child process that reads inputs; it is started again after it died."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._process: subprocess.Popen[bytes] | None = None
        self._served = 0
        self._answers = -1

    def ask(self, target: str, path: Path) -> dict[str, Any]:
        """Return the answer of the child; with the key ``death`` or ``hang`` where there is none."""
        if self._process is None or self._served >= INPUTS_A_CHILD:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        limit_s = HANG_SECONDS if self._served else HANG_SECONDS + START_SECONDS
        self._served += 1
        try:
            process.stdin.write(json.dumps({"target": target, "path": str(path)}).encode() + b"\n")
            process.stdin.flush()
            answer = self._read_line(limit_s)
        except (BrokenPipeError, EOFError):
            code = process.wait()
            self.close()
            return {"death": code}
        if answer is None:
            self.close()
            return {"hang": True}
        return dict(json.loads(answer))

    def _start(self) -> None:
        self.close()
        self._answers, theirs = os.pipe()
        environment = {
            **os.environ,
            "MEDROV_OFFLINE": "1",
            "MEDROV_CACHE": str(self._scratch / "cache"),
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(self._scratch),
        }
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD), str(theirs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            pass_fds=[theirs],
            start_new_session=True,
        )
        os.close(theirs)
        self._served = 0

    def _read_line(self, limit_s: float) -> bytes | None:
        """Return a line of the child; null if it computes, or waits, too long."""
        assert self._process is not None
        line, end = b"", time.monotonic() + STALL_SECONDS
        before = _processor_seconds(self._process.pid)
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._answers], [], [], limit_s / 4)
            if not ready:
                used = _processor_seconds(self._process.pid) - before
                if used > limit_s or time.monotonic() > end:
                    return None
                continue
            piece = os.read(self._answers, 1 << 16)
            if not piece:
                raise EOFError
            line += piece
        return line

    def close(self) -> None:
        """End the child and its own children."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # a request that the dead child did not read
                self._process.stdin.close()
        os.close(self._answers)
        self._process = None

    def __enter__(self) -> Self:
        """Return the child."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child."""
        self.close()


def run_campaign(
    target: Target,
    child: Child,
    *,
    seed: int,
    work: Path,
    seconds: float | None = None,
    inputs: int | None = None,
) -> Tally:
    """Try inputs of a target up to a time or a number; keep those with faults in ``work/found``."""
    rng = random.Random(f"{target.name} {seed}")
    tally = Tally(target.name, seed)
    scratch = work / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    end: float | None = None
    for made in target.inputs(rng, scratch):
        end = end or (time.monotonic() + seconds if seconds is not None else float("inf"))
        if time.monotonic() > end or tally.inputs == inputs:
            break
        answer = child.ask(target.name, _write(made, scratch / "input", target.suffix))
        for kind in _count(tally, answer):
            _keep(made, answer, work / "found" / target.name, kind)
    return tally


def _processor_seconds(session: int) -> float:
    """Return the processor time of all living processes of a session; those that ended count for parents."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it ended
            continue
        if int(fields[3]) == session:
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _count(tally: Tally, answer: dict[str, Any]) -> list[str]:
    """Add an answer to the figures; return the kinds of its faults."""
    tally.inputs += 1
    if "death" in answer or "hang" in answer:
        kind = "death" if "death" in answer else "hang"
        tally.results[kind] = tally.results.get(kind, 0) + 1
        setattr(tally, f"{kind}s", getattr(tally, f"{kind}s") + 1)
        return [kind]
    result = str(answer["result"])
    short = result.split(":", maxsplit=1)[0]
    tally.results[short] = tally.results.get(short, 0) + 1
    tally.largest_peak_mib = max(tally.largest_peak_mib, answer["peak_bytes"] >> 20)
    tally.longest_seconds = max(tally.longest_seconds, answer["seconds"])
    faults = ["internal"] if "internal" in result else []
    faults += ["peak"] if answer["peak_bytes"] > PEAK_BYTES else []
    tally.internal += "internal" in faults
    tally.peaks += "peak" in faults
    return faults


def _write(made: Input, place: Path, suffix: str) -> Path:
    """Write an input where the child reads it; return the path of the file or folder."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if isinstance(made, bytes):
        path = place / f"input{suffix}"
        path.write_bytes(made)
        return path
    for name, data in made.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


def _keep(made: Input, answer: dict[str, Any], folder: Path, kind: str) -> None:
    files = {"input": made} if isinstance(made, bytes) else made
    digest = hashlib.sha256(
        b"".join(name.encode() + data for name, data in sorted(files.items()))
    ).hexdigest()
    for name, data in files.items():
        path = folder / f"{kind}-{digest[:12]}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / f"{kind}-{digest[:12]}.json").write_text(json.dumps(answer, indent=1))
