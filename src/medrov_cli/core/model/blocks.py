"""Ultralytics' building blocks, imported without network access.

Ultralytics reads its settings at import. Before that, its sync, update checks, asset downloads and pip
auto-install are switched off, and its settings are moved to medrov's cache folder.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import cast

from torch import nn

from medrov_cli.core.base.environment import cache_dir


def _isolate_ultralytics() -> None:
    """Set the environment that ultralytics reads at its first import."""
    folder = cache_dir() / "ultralytics"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        folder = Path(tempfile.mkdtemp(prefix="medrov-ultralytics-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_VERBOSE"] = "false"


_isolate_ultralytics()
_threads = os.environ.get("OMP_NUM_THREADS")

from ultralytics.nn.modules.block import DFL, SPPF, BNContrastiveHead, C2f, C2fAttn  # noqa: E402
from ultralytics.nn.modules.conv import Conv  # noqa: E402

if not _threads:  # ultralytics sets it to 1, for this process and all child processes
    os.environ.pop("OMP_NUM_THREADS", None)

__all__ = ["DFL", "BNContrastiveHead", "C2f", "C2fAttn", "Conv", "pooling_layer"]


def pooling_layer(channels: int) -> nn.Module:
    """Return YOLOv8's pooling layer, whose first convolution has an activation, unlike in newer versions."""
    layer = cast(nn.Module, SPPF(channels, channels, 5))
    cast(Conv, layer.cv1).act = nn.SiLU()
    return layer
