"""A Slurm cluster of one node on this machine, on loopback alone, for a test."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo")
START_S = 60

_CONFIGURATION = """\
ClusterName=medrov
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def find_program(name: str) -> str | None:
    """Return the path of a program, also of one for administrators."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def why_not() -> str | None:
    """Return the reason why no cluster can be tried here, or null."""
    absent = [name for name in PROGRAMS if find_program(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: slurm-wlm, munge)"
    return None if os.geteuid() == 0 else "slurmd needs root"


@contextlib.contextmanager
def slurm_node(folder: Path) -> Iterator[dict[str, str] | str]:
    """Yield the environment of a running cluster, or the reason why it cannot start here."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().split(".")[0]
    ports = _free_ports()
    configuration = _CONFIGURATION.format(
        host=host,
        folder=folder,
        cpus=os.cpu_count() or 1,
        controller_port=ports[0],
        node_port=ports[1],
    )
    (folder / "slurm.conf").write_text(configuration)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    places = ("socket", "key-file", "log-file", "pid-file", "seed-file")
    munge = [f"--{name}={folder}/munge.{name.split('-')[0]}" for name in places]
    daemons = (
        ("munged", "--force", "--foreground", *munge),
        ("slurmctld", "-D"),
        ("slurmd", "-D", "-N", host),
    )
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, *options in daemons:
            with (folder / f"{name}.out").open("wb") as output:
                started.append(
                    subprocess.Popen(
                        [str(find_program(name)), *options],
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                    )
                )
            if name == "munged":
                _wait((folder / "munge.socket").exists, started[-1])
        if _wait(lambda: _state(environment) in {"idle", "mix", "alloc"}, *started):
            yield environment
        else:
            output = "; ".join(
                f"{path.name}: {(path.read_text(errors='replace').splitlines() or ['-'])[-1]}"
                for path in sorted(folder.glob("*.out"))
            )
            yield f"Slurm does not start here (node {_state(environment) or 'unknown'}): {output}"
    finally:
        for process in reversed(started):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _state(environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["sinfo", "--noheader", "--format", "%t"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _wait(is_true: Callable[[], bool], *processes: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if is_true():
            return True
        if any(process.poll() is not None for process in processes):
            return False
        time.sleep(0.2)
    return False


def _free_ports() -> list[int]:
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
