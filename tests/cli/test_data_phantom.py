"""``medrov data phantom`` in both modes, with every exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Medrov


@pytest.mark.slow
def test_the_document(medrov: Medrov, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("data", "phantom", "-o", out, "--count", 2, "--seed", 3, "--modality", "fundoscopy, X-Ray")
    done = medrov(*command, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json == {
        "schema": "medrov.data.phantom/1",
        "output": str(out),
        "sources": [
            {
                "name": "phantom_xray",
                "modality": "X-ray",
                "images": 2,
                "boxes": 6,
                "classes": ["left lung", "right lung", "heart"],
            },
            {
                "name": "phantom_fundoscopy",
                "modality": "fundoscopy",
                "images": 2,
                "boxes": 4,
                "classes": ["optic disc", "optic cup"],
            },
        ],
    }
    assert sorted(path.name for path in out.iterdir()) == ["phantom_fundoscopy", "phantom_xray"]
    assert len(list(out.glob("*/images/*.png"))) == 4


def test_for_people(medrov: Medrov, tmp_path: Path) -> None:
    done = medrov("data", "phantom", "-o", tmp_path / "out", "--count", 1, "--modality", "mri", "-f", "masks")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].split() == ["source", "modality", "images", "boxes", "classes"]
    assert done.stdout.splitlines()[1].split()[:3] == ["phantom_mri", "MRI", "1"]
    assert (tmp_path / "out" / "phantom_mri" / "masks" / "brain tumor" / "phantom_mri_1000000.png").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--modality", "sonar"), "sonar"),
        (("--modality", "mri", "--format", "dicom"), "--format dicom"),
        (("--count", "0"), "--count"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_usage(medrov: Medrov, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = medrov("data", "phantom", "-o", tmp_path / "out", *options)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_gone_on_with_only_if_asked(medrov: Medrov, tmp_path: Path) -> None:
    command = ("data", "phantom", "-o", tmp_path / "out", "--count", 1, "--modality", "mri")
    assert medrov(*command).exit_code == 0
    again = medrov(*command)
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    assert medrov(*command, "--resume").exit_code == 0
