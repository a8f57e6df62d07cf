"""Connection to a Ray cluster."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
from typing import Any

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.optional import require_packages
from medrov_cli.core.settings.cluster_groups import ClusterSettings


def connect(settings: ClusterSettings) -> Any:
    """Return the module ``ray``, connected to the cluster of the settings, without its usage statistics.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``; ``USAGE`` if there is no such cluster.
    """
    require_packages("--on ray", ("ray",))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = importlib.import_module("ray")
    address = None if settings.on is None else settings.on.address or os.environ.get("RAY_ADDRESS") or None
    local = {"include_dashboard": False} if address is None else {}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="error", **local)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise usage_error(
            f"--on {settings.on}: no Ray cluster answers at {address or 'this machine'}",
            "Start one with 'ray start --head', and run on one of its machines.",
        ) from error
    finally:
        for number, handler in handlers.items():  # Ray replaces that of SIGTERM
            with contextlib.suppress(ValueError, TypeError):  # not the main thread; a handler not of Python
                signal.signal(number, handler)
    return ray


def count_room(ray: Any, settings: ClusterSettings) -> int:
    """Return the number of workers for which the nodes have resources."""
    room = 0
    for node in ray.nodes():
        if node["Alive"]:
            resources = node["Resources"]
            fits = resources.get("CPU", 0) // settings.worker_cpus
            if settings.worker_gpus:
                fits = min(fits, resources.get("GPU", 0) // settings.worker_gpus)
            room += int(fits)
    return room
