"""Packages that a lean installation leaves out, and the refusal of what needs them.

The lean installation (``requirements/detect.lock``) contains neither torch nor the packages that need it.
"""

from __future__ import annotations

from collections.abc import Sequence

from medrov_cli.core.base.errors import ErrorCode, MedrovError

TORCH_NETWORK = ("torch", "torchvision", "ultralytics")
"""Packages of the network in torch."""

TRAINING = (*TORCH_NETWORK, "accelerate")
"""Packages of ``train``."""

OPEN_CLIP = ("torch", "open-clip-torch", "transformers", "huggingface-hub")
"""Packages of the encoders ``hf-hub:`` and ``local-dir:``."""

FITTING = ("scikit-learn",)
"""Packages of ``eval --fit``."""

OPTIONAL_FEATURES = {
    "train": TRAINING,
    "export": TORCH_NETWORK,
    "weights import": TORCH_NETWORK,
    "eval --fit": FITTING,
    "--engine torch": TORCH_NETWORK,
    "--text-encoder hf-hub: and local-dir:": OPEN_CLIP,
}
"""Commands and options that a lean installation refuses, and their packages."""

_MODULES = {"mlflow-skinny": "mlflow", "open-clip-torch": "open_clip", "scikit-learn": "sklearn"}
"""Names of modules that differ from the name of their package in more than a hyphen."""


def require_packages(feature: str, packages: Sequence[str]) -> None:
    """Check that packages are installed, without importing them.

    Parameters
    ----------
    feature
        Command or option that needs them, for the message.
    packages
        Names of packages, in lower case with hyphens.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``; the hint is the command that installs the missing packages.
    """
    missing = missing_packages(packages)
    if missing:
        raise dependency_error(feature, missing)


def missing_packages(packages: Sequence[str]) -> tuple[str, ...]:
    """Return the packages that are not installed, in the given order."""
    return tuple(package for package in packages if not is_installed(package))


def is_installed(package: str) -> bool:
    """Return whether a package is installed, without importing it."""
    import importlib.util

    try:
        return importlib.util.find_spec(_MODULES.get(package, package.replace("-", "_"))) is not None
    except (ImportError, ValueError):  # an import hook hides it, or a module without a specification
        return False


def dependency_error(feature: str, missing: Sequence[str]) -> MedrovError:
    """Return the error of a feature whose packages are not installed."""
    *others, last = missing
    names = f"{', '.join(others)} and {last}" if others else last
    return MedrovError(
        ErrorCode.DEPENDENCY_MISSING,
        f"{feature} needs {names}, which {'are' if others else 'is'} not installed",
        f"Run: {install_command(missing)}",
    )


def install_command(packages: Sequence[str]) -> str:
    """Return the command that installs packages, in the versions that medrov supports."""
    known = _requirements()
    return "pip install " + " ".join(f'"{package}{known.get(package, "")}"' for package in packages)


def _requirements() -> dict[str, str]:
    """Return the versions of medrov's requirements and extras, by name of the package."""
    import importlib.metadata
    import re

    try:
        texts = importlib.metadata.requires("medrov") or ()
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return {}
    found = (re.match(r"([\w.-]+)([^;\[]*)", text) for text in texts)
    return {match[1].lower().replace("_", "-"): match[2].strip() for match in found if match}
