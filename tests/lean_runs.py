"""The lean installation: its lock, what it refuses, and a probe of what a command imports."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from conftest import Finished

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
LOCK = ROOT / "requirements" / "detect.lock"
ADDED = ROOT / "requirements" / "detect.in"
EXCLUDED = ROOT / "requirements" / "detect.exclude"

REFUSED = {
    "train": ("train", "data.yaml", "--output", "run"),
    "export": ("export", "--to", "onnx"),
    "weights import": ("weights", "import", "foreign.pt"),
    "eval --fit": ("eval", "data.yaml", "--split", "val", "--fit", "fitted.safetensors"),
    "--engine torch": ("detect", "image.png", "--engine", "torch"),
    "--device cuda": ("detect", "image.png", "--device", "cuda"),
    "folder of open_clip": (
        *("detect", "image.png", "--classes", "polyp", "--text-encoder", "local-dir:folder"),
    ),
    "hub of open_clip": ("detect", "image.png", "--classes", "polyp", "--text-encoder", "hf-hub:a/b"),
}
"""Commands that need packages of the whole installation; image.png exists, the other files do not."""

PROBE = """
import json, sys
from importlib.metadata import packages_distributions
from medrov_cli import cli
code = cli.run(sys.argv[1:])
sys.stdout.flush()
owners = packages_distributions()
roots = {name.split(".")[0] for name, module in sys.modules.items() if module is not None}
used = sorted({owner.lower().replace('_', '-') for root in roots for owner in owners.get(root, ())})
sys.stderr.write("\\n" + json.dumps(used))
sys.exit(int(code))
"""
"""Program that runs the command line, and writes the used packages as the last line of stderr."""


def canonical(name: str) -> str:
    """Return a package name in lower case with hyphens."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_lines(path: Path) -> list[str]:
    """Return the requirements of a file, without comments."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def project_requirements() -> list[str]:
    """Return the dependencies in ``pyproject.toml``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def check_refusal(done: Finished) -> None:
    """Check exit code, code, one sentence and the command of a refusal."""
    assert done.exit_code == 2, (done.stdout, done.stderr)
    error = done.json["error"]
    assert error["code"] == "dependency_missing"
    assert re.fullmatch(r"\S.* needs .+, which (is|are) not installed", error["message"])
    packages = re.findall(r'"([\w-]+)(?:[><=]=[\d.]+[^"]*)?"', error["hint"])
    assert packages, error
    assert error["hint"].startswith("Run: pip install ")
    assert all(name in error["message"] for name in packages)
    assert "Traceback" not in done.stderr


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder by its path in the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
