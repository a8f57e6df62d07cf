"""Options on the place where a run computes: this process, or workers of a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass

from medrov_cli.core.base.errors import excludes, requires, usage_error
from medrov_cli.core.settings.field import check_ranges, given_flags, option

CLUSTER_PANEL = "Several machines"

_ADDRESS = re.compile(r"ray(://(?P<address>[\w.\-\[\]:]+:\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """Ray cluster.

    Attributes
    ----------
    address
        ``HOST:PORT`` of its head; empty: that of ``RAY_ADDRESS``, else a cluster on this machine.
    """

    address: str = ""

    def __str__(self) -> str:
        """Return the text of the option."""
        return f"ray://{self.address}" if self.address else "ray"


def parse_place(text: str) -> ClusterPlace:
    """Return the cluster of ``ray`` or ``ray://HOST:PORT``.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None:
        raise usage_error(
            f"--on {text!r} is neither 'ray' nor 'ray://HOST:PORT'",
            "Give the address that 'ray start --head' prints, such as ray://10.0.0.1:6379.",
        )
    return ClusterPlace(match["address"] or "")


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Settings of the workers. None of them changes a result.

    Attributes
    ----------
    on
        Cluster; null: this process.
    workers
        Number of workers; null: as many as fit in the cluster.
    worker_cpus, worker_gpus
        Resources of a worker, as Ray counts them.
    """

    on: ClusterPlace | None = option(
        "--on",
        default=None,
        parse=parse_place,
        metavar="ray[://HOST:PORT]",
        help="Compute on a Ray cluster: that of RAY_ADDRESS, else of this machine.",
        panel=CLUSTER_PANEL,
    )
    workers: int | None = option(
        "--workers",
        default=None,
        low=1,
        metavar="N",
        help="Number of workers. Default: as many as fit in the cluster.",
        panel=CLUSTER_PANEL,
    )
    worker_cpus: int = option(
        "--worker-cpus", default=1, low=1, help="CPU cores of a worker.", panel=CLUSTER_PANEL
    )
    worker_gpus: float = option(
        "--worker-gpus",
        default=0.0,
        low=0,
        help="GPUs of a worker; 0.5: two workers share one.",
        panel=CLUSTER_PANEL,
    )

    def check(self, *, offline: bool, device: str) -> None:
        """Refuse contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        check_ranges(self)
        flags = given_flags(self)
        if self.on is None:
            if flags:
                raise requires(flags[0], "--on", "Add --on ray.")
            return
        if offline:
            raise excludes("--offline", "--on", "A cluster is a network: run without --offline.")
        if device.startswith("cuda") and not self.worker_gpus:
            raise requires(f"--device {device} with --on", "--worker-gpus", "Add --worker-gpus 1.")
