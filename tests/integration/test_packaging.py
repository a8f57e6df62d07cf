"""The wheel: everything that a machine without a checkout needs is inside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it; return the folder."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_known_weights_are_inside(installed: Path) -> None:
    manifest = tomllib.loads((ROOT / "weights" / "manifest.toml").read_text(encoding="utf-8"))
    shipped = [entry["file"] for entry in manifest.get("weights", []) if "url" not in entry]
    present = {path.name for path in (installed / "medrov_cli" / "weights").iterdir()}
    assert {"manifest.toml", *shipped} <= present


def test_the_assets_are_inside(installed: Path) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    assets = contents(ROOT / "src" / "medrov_cli" / "assets")
    assert {"omnis_presence.csv", "synonyms.toml", "presets/paper.toml"} <= set(assets)
    assert contents(installed / "medrov_cli" / "assets") == assets


def test_the_templates_of_the_pages_are_inside(installed: Path) -> None:
    own = ROOT / "src" / "medrov_cli" / "core" / "reports" / "templates"
    templates = {path.name: path.read_bytes() for path in own.iterdir()}
    pages = {f"{name}.html.j2" for name in ("base", "evaluation", "statistics", "review")}
    assert pages | {"style.css", "review.js"} <= set(templates)
    packed = installed / "medrov_cli" / "core" / "reports" / "templates"
    assert {path.name: path.read_bytes() for path in packed.iterdir()} == templates


def test_only_the_package_is_inside(installed: Path) -> None:
    folders = {path.name for path in installed.iterdir()}
    assert {name for name in folders if not name.endswith(".dist-info")} == {"medrov_cli"}
    assert not list(installed.rglob("tests"))


def test_it_runs_from_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medrov_cli", "weights", "list", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    paths = [Path(entry["path"]) for entry in json.loads(done.stdout)["weights"] if entry["path"]]
    assert all(path.is_relative_to(installed) for path in paths)
    assert (installed / "medrov_cli" / "assets").is_dir()
