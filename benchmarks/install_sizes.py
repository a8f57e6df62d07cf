"""Size on disk of packages with everything that they require, from the files of this environment.

    python benchmarks/install_sizes.py medrov ultralytics requirements/detect.lock

An argument is the name of an installed package, with its requirements but without extras, or a lock file,
whose packages alone are counted. Packages that are not installed here are named in `missing`. The sizes are
those of the files in RECORD, without compiled Python files. Prints one JSON line for each argument.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

_LARGEST = 8


def main(arguments: Sequence[str]) -> int:
    """Print the size of each argument."""
    for name in arguments:
        path = Path(name)
        packages = _locked(path) if path.suffix == ".lock" else _required(name)
        sys.stdout.write(json.dumps({"of": name, **_sizes(packages)}) + "\n")
    return 0


def _locked(path: Path) -> list[str]:
    """Return the names of a lock file."""
    return re.findall(r"^([\w.-]+)==", path.read_text(encoding="utf-8"), re.MULTILINE)


def _required(name: str) -> list[str]:
    """Return a package and everything that it requires on this platform."""
    found: list[str] = []
    waiting = [name]
    while waiting:
        own = _canonical(waiting.pop())
        if own in found:
            continue
        found.append(own)
        package = _distribution(own)
        for text in (package.requires if package else None) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def _sizes(packages: Sequence[str]) -> dict[str, Any]:
    """Return number, total and largest sizes, in MB of 10^6 bytes."""
    sizes = {name: _size(package) for name in packages if (package := _distribution(name)) is not None}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:_LARGEST]
    return {
        "packages": len(sizes),
        "mb": round(sum(sizes.values()) / 1e6),
        "largest_mb": {name: round(size / 1e6) for name, size in largest},
        "missing": sorted(set(packages) - set(sizes)),
    }


def _size(package: Distribution) -> int:
    """Return the size of the files of a package in bytes."""
    files = (Path(str(file.locate())) for file in package.files or () if file.suffix != ".pyc")
    return sum(path.stat().st_size for path in files if path.is_file())


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
