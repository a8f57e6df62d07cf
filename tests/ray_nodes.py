"""A Ray cluster of several node processes on this machine, for tests: ``python ray_nodes.py NODES``.

It prints the address of the head, and then reads commands, one a line: ``kill worker`` kills a process that
computes, ``kill node`` all processes of a node but the head. The end of its input ends the cluster.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Run the cluster."""
    from ray.cluster_utils import Cluster

    count = int(sys.argv[1])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(count - 1)]
    cluster.wait_for_nodes()
    tell(cluster.address)
    for line in sys.stdin:
        if line.strip() == "kill worker":
            tell(kill_worker())
        elif line.strip() == "kill node":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            tell("killed")
    cluster.shutdown()


def tell(text: str) -> None:
    """Write one line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def kill_worker() -> str:
    """Kill the first worker that computes, among the descendants of this process."""
    parents = {}
    titles = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            titles[int(path.name)] = (path / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
    for process, title in sorted(titles.items()):
        if not title.startswith(b"ray::WorkerProcess"):
            continue
        ancestor = process
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if ancestor == os.getpid():
            os.kill(process, signal.SIGKILL)
            return "killed"
    return "none"


if __name__ == "__main__":
    main()
