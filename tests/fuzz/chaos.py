"""Kill commands that write, run them again, and compare the files with those of an undisturbed run.

    python tests/fuzz/chaos.py --kills 100 --seed 1

A round starts one command in a new folder and ends it by SIGKILL, SIGTERM or SIGINT: half of the signals at a
random moment, half at a random event of the file system (open to write, rename, create, remove). It then runs
the command again, with ``--resume`` where the command has it, until it ends by itself, and compares all
files, folders and hidden files byte by byte. A hang, another exit code than 130 or 143 after SIGINT or
SIGTERM, a difference, and a file in the folder of temporary files are faults. Linux only.

Commands run in forks of one process that has imported the libraries, because imports take most of the time.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "src")]

import cv2  # noqa: E402

from detect_fixtures import write_eager_detector, write_images  # noqa: E402
from dicom_objects import write_series  # noqa: E402
from dicom_results import detection, record_of, write_results  # noqa: E402
from dicomweb_service import Service  # noqa: E402
from medrov_cli.core.base.environment import keep_library_files  # noqa: E402
from result_targets import decisions_for  # noqa: E402
from source_folders import Picture, write_source  # noqa: E402
from training_data import make_source, narrow_networks  # noqa: E402
from weights_fixtures import world_checkpoint  # noqa: E402

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
INTERRUPTED = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}
HANG_S = 1800.0
"""A run that ends later hangs; generous, because other work may share the machine."""

WRITES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "shutil.rmtree"}
)
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT
RUNNING_OUT = "out"
"""Name of the output in the folder of a round."""


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes
    ----------
    arguments
        Words; ``OUT`` is the folder of the round.
    resume
        Words that are added when it is run again.
    last
        Name of the file that completes a run, if a complete run is refused and not repeated.
    code
        Exit code of an undisturbed run.
    is_narrow
        Whether networks are narrow.
    cost
        How much longer than ``detect`` it takes; it is chosen as much less often.
    place
        Function of the folder of the inputs and that of a round: it writes what the command changes.
    check
        Function of the folder of a round, after the last run, to faults.
    """

    arguments: Sequence[str]
    resume: Sequence[str] = ()
    last: str = ""
    code: int = 0
    is_narrow: bool = False
    cost: int = 1
    place: Callable[[Path, Path], None] | None = None
    check: Callable[[Path], list[str]] | None = None


class _Service(Service):
    """The service that ``send`` stores instances in."""

    stored: ClassVar[list[str]] = []
    headers_seen: ClassVar[list[Any]] = []
    failures: ClassVar[list[int | str]] = []


def place_results(inputs: Path, out: Path) -> None:
    """Copy DICOM results, and empty the service."""
    shutil.copytree(inputs / "results", out / "results")
    _Service.stored.clear()


def check_service(out: Path) -> list[str]:
    """Return a fault unless the service has every instance once."""
    expected = sorted(path.stem for path in (out / "results").glob("*/*.dcm"))
    return (
        [] if sorted(_Service.stored) == expected else [f"stored {len(_Service.stored)} of {len(expected)}"]
    )


RESUME = ("--resume",)
QUICK = [
    "--imgsz",
    "64",
    "--epochs",
    "2",
    "--batch",
    "4",
    "--workers",
    "0",
    "--device",
    "cpu",
    "--precision",
    "fp32",
    "--optimizer",
    "adamw",
]
EAGER = ("--weights", "eager.safetensors")
EXPORT = (*EAGER, "--imgsz", "64", "--classes", "polyp", "--offline", "--output")

COMMANDS = {
    "detect": Command(
        ["detect", "images", *EAGER, "--max-det", "5", "--format", "png,csv,coco,json,yolo", "-o", "OUT/out"],
        RESUME,
        code=3,
    ),
    "data convert": Command(
        [
            "data",
            "convert",
            "photographs",
            "--from",
            "coco",
            "--modality",
            "CT",
            "--licence",
            "CC0",
            "--split",
            "val",
            "-o",
            "OUT/out",
        ],
        RESUME,
    ),
    "data export": Command(["data", "export", "data.yaml", "--to", "yolo", "-o", "OUT/out"], RESUME),
    "data merge": Command(
        ["data", "merge", "ct", "slides", "--map", "map.yaml", "-o", "OUT/out"], last="out/dataset.yaml"
    ),
    "data phantom": Command(
        ["data", "phantom", "--modality", "dermoscopy", "--count", "2", "-o", "OUT/out"], RESUME, cost=2
    ),
    "data split": Command(["data", "split", "ct", "--no-join-copies", "--output", "OUT/out/a.json"]),
    "data presence": Command(
        ["data", "presence", "data.yaml", "--output", "OUT/presence.csv", "--reasons", "OUT/reasons.csv"],
        ("--overwrite",),
    ),
    "pseudolabel": Command(
        ["pseudolabel", "open.yaml", *EAGER, "--device", "cpu", "--score", "0.3", "-o", "OUT/out"], RESUME
    ),
    "eval": Command(["eval", "data.yaml", *EAGER, "--split", "val", "-o", "OUT/out"], RESUME, cost=3),
    "train": Command(
        ["train", "train.yaml", *QUICK, "--save-steps", "1", "-o", "OUT/out"], RESUME, is_narrow=True, cost=4
    ),
    "export onnx": Command(["export", "--to", "onnx", *EXPORT, "OUT/m.onnx"], last="m.onnx", cost=4),
    "export openvino": Command(["export", "--to", "openvino", *EXPORT, "OUT/m"], last="m/model.xml", cost=4),
    "learn": Command(
        [
            "learn",
            "data.yaml",
            *EAGER,
            "--device",
            "cpu",
            "--classes",
            "polyp",
            "--folds",
            "0",
            "-o",
            "OUT/l.safetensors",
        ],
        last="l.safetensors",
        cost=2,
    ),
    "pseudolabel apply": Command(
        ["pseudolabel", "apply", "decisions.json", "--labels", "reviewed", "-o", "OUT/out"], ("--overwrite",)
    ),
    "send": Command(["send", "OUT/results", "--to", "URL"], place=place_results, check=check_service),
    "weights import": Command(
        ["weights", "import", "world.pt", "--output", "OUT/w.safetensors"], last="w.safetensors", cost=3
    ),
}


def prepare(folder: Path) -> None:
    """Write the inputs of all commands."""
    write_eager_detector(folder / "eager.safetensors")
    write_images(folder / "images", 9)
    (folder / "images" / "003.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    classes = ["polyp", "lung nodule"]
    pictures = [
        Picture(("train", "val")[n % 2], [(classes[n % 2], 5.0 + n, 4, 20, 30)], case=f"c{n}")
        for n in range(12)
    ]
    write_source(folder / "ct", pictures, classes)
    write_source(folder / "slides", pictures[:4], classes, "histopathology")
    (folder / "map.yaml").write_text("rename: {polyp: growth}\n")
    (folder / "data.yaml").write_text("sources: [ct]\n")
    shutil.copytree(folder / "ct" / "images", folder / "photographs")
    shutil.copy(folder / "ct" / "annotations.json", folder / "photographs" / "annotations.json")
    for path in sorted((folder / "photographs").glob("*.png"))[:3]:
        cv2.imwrite(str(path), cv2.imread(str(path)), [cv2.IMWRITE_PNG_COMPRESSION, 0])
    make_source(folder, "smear", "microscopy", ["red blood cell"])
    (folder / "train.yaml").write_text("sources: [smear]\n")
    make_source(folder, "section", "histopathology", ["lung nodule"])
    (folder / "open.yaml").write_text("sources: [smear, section]\npresence: presence.csv\n")
    (folder / "presence.csv").write_text("dataset,red blood cell,lung nodule\nsmear,1,0\nsection,0,1\n")
    decisions = next(decisions_for(random.Random(0), folder))
    (folder / "decisions.json").write_bytes(decisions["decisions.json"])
    write_series(folder / "series", 2)
    images = sorted((folder / "series").iterdir())
    records = [record_of(image, detection("lung nodule", 0.9, 1, 1, 5, 5)) for image in images]
    for name in ("sr", "gsps"):
        write_results(folder / "results", records, name)
    (folder / "results" / "detections.jsonl").write_text("")


@dataclass
class Ending:
    """End of a run.

    Attributes
    ----------
    code
        Exit code, negative after a signal; null for a hang.
    events
        Number of events of the file system; of a run that ended by itself.
    seconds
        Duration.
    is_hit
        Whether the signal was sent before the run had ended.
    text
        What the run printed.
    """

    code: int | None
    events: int
    seconds: float
    is_hit: bool
    text: str


@dataclass
class Arena:
    """Folder with the inputs, in which commands run."""

    folder: Path
    url: str = ""
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "log.txt"

    def run(
        self,
        command: Command,
        out: Path,
        *more: str,
        number: signal.Signals | None = None,
        event: int = 0,
        after_s: float = 0.0,
    ) -> Ending:
        """Run a command in a fork; send a signal at an event, or after a time."""
        given = (*command.arguments, *more)
        words = [word.replace("OUT", str(out)).replace("URL", self.url) for word in given]
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            self._live(command, words, number if event else None, event, write)
        os.close(write)
        os.read(read, 1)  # the fork has its own reaction to signals
        started = time.monotonic()
        status, is_hit = None, bool(event)
        end = started + HANG_S
        while status is None and time.monotonic() < end:
            if number is not None and not event and not is_hit and time.monotonic() - started >= after_s:
                os.kill(child, number)
                is_hit = True
            found, code = os.waitpid(child, os.WNOHANG)
            status = code if found else None
            time.sleep(0 if found else 0.002)
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        seconds = time.monotonic() - started
        with os.fdopen(read) as stream:
            said = stream.read().split()
        ended = float(said[1]) if len(said) == 2 else None
        if number is not None and not event and ended is not None:
            is_hit = is_hit and ended > started + after_s
        if event and said and int(said[0]) < event:  # a complete run that is run again writes less
            is_hit = False
        code_of = None if status is None else os.waitstatus_to_exitcode(status)
        text = self.log.read_text(errors="replace")[-2000:]
        return Ending(code_of, int(said[0]) if said else 0, seconds, is_hit, text)

    def _live(
        self, command: Command, words: list[str], number: signal.Signals | None, event: int, write: int
    ) -> None:
        """Run the command line in this fork, as in a process of its own, and end the fork."""
        code = 70
        count = [0]
        try:
            stream = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for descriptor in (1, 2):
                os.dup2(stream, descriptor)
            os.chdir(self.folder)
            sys.argv = ["medrov", *words]
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if "URL" in command.arguments:
                os.environ.pop("MEDROV_OFFLINE")
            if command.is_narrow:
                narrow_networks(_Patch())

            def watch(name: str, arguments: tuple[Any, ...]) -> None:
                if name == "open" and not _is_write(arguments):
                    return
                if name == "open" or name in WRITES:
                    count[0] += 1
                    if number is not None and count[0] == event:
                        os.kill(os.getpid(), number)

            sys.addaudithook(watch)
            from medrov_cli import cli

            os.write(write, b"r")
            cli.main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:  # noqa: BLE001 - a fault, which the parent reports
            traceback.print_exc()
        finally:
            os.write(write, f"{count[0]} {time.monotonic()}".encode())
            sys.stdout.flush()
            sys.stderr.flush()
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            os._exit(code)


class _Patch:
    """The method of ``pytest.MonkeyPatch`` that :func:`narrow_networks` calls, without an undo."""

    def setitem(self, place: dict[Any, Any], name: Any, value: Any) -> None:
        """Set an item."""
        place[name] = value


def _is_write(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return bool(set(mode or "") & set("wax+")) or bool((flags or 0) & _WRITE_FLAGS)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return files by relative path, without times in metrics; null for folders."""
    found: dict[str, bytes | None] = {}
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else None
        if path.name == "metrics.jsonl" and data is not None:
            lines = [json.loads(line) for line in data.splitlines()]
            data = json.dumps([{k: v for k, v in line.items() if k != "seconds"} for line in lines]).encode()
        if path.name == "sent.jsonl" and data is not None:
            data = json.dumps(last_states(data), sort_keys=True).encode()
        found[str(path.relative_to(folder))] = data
    return found


def last_states(ledger: bytes) -> dict[str, str]:
    """Return the last state of each instance of a ledger; a kill can leave a part of a line."""
    states: dict[str, str] = {}
    for line in ledger.splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            states[entry["instance_uid"]] = entry["state"]
    return states


@dataclass
class Campaign:
    """Rounds of kills with one seed."""

    arena: Arena
    names: Sequence[str]
    rng: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    late: int = 0
    faults: list[str] = field(default_factory=list)
    expected: dict[str, tuple[Ending, dict[str, bytes | None]]] = field(default_factory=dict)
    signals: Sequence[signal.Signals] = SIGNALS

    def run(self, kills: int, say: Callable[[str], None]) -> None:
        """Kill until the number is reached."""
        weights = [1 / COMMANDS[name].cost for name in self.names]
        order = [*self.names]  # every command once, then by chance
        while self.kills.total() < kills:
            name = order.pop(0) if order else self.rng.choices(self.names, weights)[0]
            before = len(self.faults)
            self.round(name)
            found = "".join(f"\n  FAULT {fault}" for fault in self.faults[before:])
            say(f"{self.kills.total()} kills, {name}{found}")

    def round(self, name: str) -> None:
        """Start a command in a new folder, kill it, run it to its end, and compare."""
        command = COMMANDS[name]
        whole, expected = self.undisturbed(name)
        with self.place(command) as out:
            more: Sequence[str] = ()
            for _ in range(self.rng.choice((1, 1, 2))):
                number = self.rng.choice(self.signals)
                event = self.rng.randint(1, max(1, whole.events)) if self.rng.random() < 0.5 else 0
                after = self.rng.uniform(0, whole.seconds)
                end = self.arena.run(command, out, *more, number=number, event=event, after_s=after)
                where = f"{name}: {number.name} at {f'event {event}' if event else f'{after:.2f} s'}"
                self.judge(name, where, number, end)
                more = command.resume
                if self.is_finished(command, out):
                    break
            if not self.is_finished(command, out):
                end = self.arena.run(command, out, *more)
                if end.code != command.code:
                    self.faults.append(f"{where}; run again: {end.code}, {end.text[-1500:]}")
                    return
            elif command.last and self.arena.run(command, out).code != 2:
                self.faults.append(f"{where}; a complete run was not refused")
            self.compare(where, contents(out), expected)
            if command.check is not None:
                self.faults += [f"{where}: {fault}" for fault in command.check(out)]

    def judge(self, name: str, where: str, number: signal.Signals, end: Ending) -> None:
        """Count a kill, or record a fault."""
        command = COMMANDS[name]
        if end.code is None:
            self.faults.append(f"{where}: hangs, {end.text[-1500:]}")
        elif end.code == INTERRUPTED[number]:
            self.kills[f"{name}, {number.name}"] += 1
        elif end.code == -number and number != signal.SIGKILL:
            self.late += 1  # all output was complete
        elif (end.code in (command.code, 2) and not end.is_hit) or (end.code == 2 and command.last):
            self.late += 1
        else:
            self.faults.append(f"{where}: exit {end.code}, {end.text[-1500:]}")

    def is_finished(self, command: Command, out: Path) -> bool:
        """Return whether a run is complete that would be refused."""
        return bool(command.last) and (out / command.last).exists()

    def compare(self, where: str, found: dict[str, bytes | None], expected: dict[str, bytes | None]) -> None:
        """Record differences from an undisturbed run, and files in the folder of temporary files."""
        names = [n for n in {**expected, **found} if expected.get(n, b"none") != found.get(n, b"none")]
        if names:
            self.faults.append(f"{where}: differs in {names[:4]}")
        left = [str(path) for path in Path(tempfile.gettempdir()).iterdir()]
        if left:
            self.faults.append(f"{where}: left {left[:3]}")

    def undisturbed(self, name: str) -> tuple[Ending, dict[str, bytes | None]]:
        """Return the end of a run that is not disturbed, and what it wrote."""
        if name not in self.expected:
            command = COMMANDS[name]
            for _ in range(2):  # the first fills the cache
                with self.place(command) as out:
                    end = self.arena.run(command, out)
                    if end.code != command.code:
                        raise SystemExit(f"{name}: exit {end.code}\n{end.text}")
                    self.expected[name] = end, contents(out)
        return self.expected[name]

    @contextmanager
    def place(self, command: Command) -> Iterator[Path]:
        """Yield the folder of a round, of one name: paths may stand in the output."""
        out = self.arena.folder / "round"
        out.mkdir()
        try:
            if command.place is not None:
                command.place(self.arena.folder, out)
            yield out
        finally:
            shutil.rmtree(out)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def running_service() -> Iterator[str]:
    """Yield the address of the service, which runs in a thread: forks have no copy of it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/dicom-web"
        finally:
            server.shutdown()


def _campaign(
    folder: Path, names: Sequence[str], seed: int, kills: int, signals: Sequence[signal.Signals]
) -> Campaign:
    """Run a campaign in a folder with a home, a cache and a folder of temporary files of its own."""
    for place in ("home", "temporary", "arena"):
        (folder / place).mkdir()
    os.environ |= {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "temporary"),
        "MEDROV_CACHE": str(folder / "cache"),
        "MEDROV_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    tempfile.tempdir = None
    keep_library_files()  # this process imports torch before its forks do
    prepare(folder / "arena")
    if "weights import" in names:
        world_checkpoint(folder / "arena" / "world.pt", "n")
    with running_service() as url:
        campaign = Campaign(Arena(folder / "arena", url), names, random.Random(seed), signals=signals)
        campaign.run(kills, _say)
    left = [str(path) for path in (folder / "cache").rglob("*.tmp")]
    if left:
        campaign.faults.append(f"the cache contains {left[:3]}")
    return campaign


def main() -> int:
    """Run a campaign; return 1 if there are faults."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100, help="number of kills")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--commands", help="names, comma separated: " + ", ".join(COMMANDS))
    parser.add_argument("--signals", default="KILL,TERM,INT", help="comma separated (default: all three)")
    given = parser.parse_args()
    signals = [signal.Signals[f"SIG{name}"] for name in given.signals.split(",")]
    names = [*COMMANDS] if given.commands is None else given.commands.split(",")
    folder = Path(tempfile.mkdtemp(prefix="medrov-chaos-")).resolve()  # a fork runs the finalizers of others
    try:
        campaign = _campaign(folder, names, given.seed, given.kills, signals)
    finally:
        shutil.rmtree(folder)
    _say(json.dumps({"kills": campaign.kills, "late": campaign.late, "faults": campaign.faults}, indent=1))
    return int(bool(campaign.faults))


if __name__ == "__main__":
    sys.exit(main())
