"""Record what fixed runs of the command line write, and compare another state of the program with it.

::

    python tests/baseline.py record /tmp/before               # before a change that may alter nothing
    python tests/baseline.py compare /tmp/before              # after it: exit code 1 if anything differs
    python tests/baseline.py compare /tmp/before --only 'detect-*'

The runs stand in ``baseline_runs.py``. ``record`` first makes their inputs (``baseline_inputs.py``) in
``FOLDER/inputs``; ``compare`` reads those same files. ``FOLDER/recorded`` has a folder for each run: stdout,
stderr, exit code and all written files, after the normalisation of ``baseline_normalisation.py``.
The caches of the program stay in ``FOLDER/cache``. This module does not import the program.
"""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from baseline_inputs import make_inputs
from baseline_normalisation import Normaliser, shape_of
from baseline_runs import RUNS, Run
from conftest import ROOT

Files = Mapping[str, bytes]
"""What a run left: normalised content by name; ``stdout``, ``stderr``, ``exit_code``, ``files/...``."""

TIMEOUT_S = 600
INTERRUPT_AFTER = b"epoch 1/2:"
CONTEXT_LINES = 3
SHOWN_LINES = 24
SHOWN_COLUMNS = 240


def main() -> int:
    """Record or compare; return the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("folder", type=Path, help="Folder of the inputs, the recording and the cache.")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="Runs to take, and what they need.")
    parser.add_argument("--keep", action="store_true", help="Keep the working folder, and print its name.")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.action == "record":
        for missing in make_inputs(folder / "inputs"):
            say(f"absent: {missing}; the runs that need it are left out")
        (folder / "packages.json").write_text(json.dumps(packages(), indent=2) + "\n")
    elif not (folder / "recorded").is_dir():
        parser.error(f"{folder} holds no recording")
    for name, version in json.loads((folder / "packages.json").read_text()).items():
        if version != packages()[name]:
            say(f"note: {name} {version} was recorded with, it is {packages()[name]} now")
    work = Path(tempfile.mkdtemp(prefix="work-", dir=folder))
    try:
        return _execute(options.action, options.only, folder, work)
    finally:
        if options.keep:
            say(f"kept: {work}")
        else:
            shutil.rmtree(work)


def _execute(action: str, pattern: str, folder: Path, work: Path) -> int:
    (work / "inputs").symlink_to(folder / "inputs")
    (work / "home").mkdir()
    started, different, done = time.monotonic(), [], 0
    left_out: set[str] = set()
    for run in selected(pattern):
        if missing := absent(run, work, left_out):
            left_out.add(run.name)
            say(f"{run.name}: left out, there is no {missing}")
            continue
        begun, place = time.monotonic(), folder / "recorded" / run.name
        found = result_of(run, folder, work)
        done += 1
        if action == "record":
            write(place, found)
            code = found["exit_code"].decode().strip()
            say(f"{run.name}: exit code {code}, {len(found)} files, {time.monotonic() - begun:.1f} s")
        elif lines := list(differences(read(place), found)):
            different.append(run.name)
            say(f"{run.name}: DIFFERENT", *lines)
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    say(f"{done} runs {action.rstrip('e')}ed in {minutes} min {seconds} s; left out: {len(left_out)}")
    if action == "compare":
        say(f"different: {', '.join(different) or 'none'}")
    return int(bool(different))


def packages() -> dict[str, str]:
    """Return the versions of what decides about the last digit of a number."""
    names = (
        "numpy",
        "opencv-python",
        "pillow",
        "torch",
        "openvino",
        "onnxruntime",
        "scikit-learn",
        "matplotlib",
    )
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


def say(*lines: str) -> None:
    """Print lines at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def selected(pattern: str) -> list[Run]:
    """Return the runs whose names match, and those that they read from, in order."""
    names = {run.name for run in RUNS if fnmatch.fnmatch(run.name, pattern)}
    for run in reversed(RUNS):
        names |= set(run.needs) if run.name in names else set()
    return [run for run in RUNS if run.name in names]


def absent(run: Run, work: Path, left_out: set[str]) -> str | None:
    """Return what a run needs and is not there: an input or the output of another run."""
    paths = (word for word in run.words if word.startswith("inputs/") and not (work / word).exists())
    return next(paths, next((name for name in run.needs if name in left_out), None))


def result_of(run: Run, folder: Path, work: Path) -> dict[str, bytes]:
    """Execute a run; return what it left."""
    if run.before is not None:
        run.before(work)
    cache = work / "cold" / run.name if run.has_own_cache else folder / "cache"
    done = execute(run, work, environment(work, folder, cache))
    normaliser = Normaliser({str(work): "<work>", str(folder): "<folder>", str(ROOT): "<root>"})
    stdout = shape_of(done.stdout) if run.shape_only else done.stdout
    found = {
        "stdout": normaliser.text(stdout),
        "stderr": normaliser.text(done.stderr),
        "exit_code": f"{done.returncode}\n".encode(),
    }
    if run.is_interrupted:
        return {"exit_code": found["exit_code"]}
    output = work / run.folder
    for path in sorted(p for p in output.rglob("*") if p.is_file()):
        found[f"files/{path.relative_to(output).as_posix()}"] = normaliser.file(path.name, path.read_bytes())
    return found


def execute(run: Run, work: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own; interrupt it where the run says so."""
    command = [sys.executable, "-m", "medrov_cli", *run.words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=work, env=variables) as process:
        if run.is_interrupted:
            while (line := process.stderr.readline()) and not line.startswith(INTERRUPT_AFTER):
                pass
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(run.stdin.encode(), timeout=TIMEOUT_S)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def environment(work: Path, folder: Path, cache: Path) -> dict[str, str]:
    """Return the variables of a run: no network, one thread, a plain terminal, folders of its own."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]).rstrip(
            os.pathsep
        ),
        "MEDROV_CACHE": str(cache),
        "MEDROV_OFFLINE": "1",
        "MEDROV_DEBUG": "",
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "HOME": str(work / "home"),
        "MPLCONFIGDIR": str(folder / "cache" / "matplotlib"),
    }


def write(place: Path, found: Files) -> None:
    """Write a recording in place of an earlier one."""
    shutil.rmtree(place, ignore_errors=True)
    for name, content in found.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)


def read(place: Path) -> dict[str, bytes]:
    """Return a recording; empty where there is none."""
    return {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*") if p.is_file()}


def differences(before: Files, now: Files) -> Iterator[str]:
    """Yield lines that say what differs."""
    if not before:
        yield "  it is not in the recording"
        return
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            yield f"  {name}: no longer written"
        elif name not in before:
            yield f"  {name}: was not written before"
        elif before[name] != now[name]:
            yield from _difference(name, before[name], now[name])


def _difference(name: str, before: bytes, now: bytes) -> Iterator[str]:
    try:
        old, new = before.decode().splitlines(True), now.decode().splitlines(True)
    except UnicodeDecodeError:
        place = _first_difference(before, now)
        yield f"  {name}: {len(before)} bytes before, {len(now)} now, the first difference at byte {place}"
        yield f"    -{before[place : place + 32]!r}\n    +{now[place : place + 32]!r}"
        return
    line = _first_difference(old, new)
    yield f"  {name}: the first difference in line {line + 1}"
    start = max(line - CONTEXT_LINES, 0)
    parts = (lines[start : line + SHOWN_LINES] for lines in (old, new))
    for text in list(difflib.unified_diff(*parts, lineterm="", n=CONTEXT_LINES))[2:]:
        yield f"    {text.rstrip(chr(10))[:SHOWN_COLUMNS]}"
    if line < min(len(old), len(new)) and max(len(old[line]), len(new[line])) > SHOWN_COLUMNS:
        column = max(_first_difference(old[line], new[line]) - 60, 0)
        yield f"    from column {column + 1}:"
        yield f"    -{old[line][column : column + 160]}\n    +{new[line][column : column + 160]}"


def _first_difference(before: Sequence[object], now: Sequence[object]) -> int:
    pairs = enumerate(zip(before, now, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(before), len(now)))


if __name__ == "__main__":
    sys.exit(main())
