"""``medrov data`` on real images of nine modalities."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from medrov_cli.core.datasets.dataset import load_dataset

pytestmark = pytest.mark.slow

KNOWN_PAIRS = {
    "aasce_spine/aasce_training_0065.jpg",
    "busi/malignant_4.jpg",
    "busi/malignant_7.jpg",
    "busi/malignant_8.jpg",
    "busi/normal_13.jpg",
    "busi/normal_38.jpg",
    "busi/normal_43.jpg",
    "chest_ct_organs/chestct_10244.jpg",
    "isic2018/ISIC_0000205.jpg",
    "isic2018/ISIC_0012290.jpg",
    "nerve_us/nerve_17_12.jpg",
    "nerve_us/nerve_17_54.jpg",
}
"""Images of which another split has a near copy: every pair was looked at, and is one patient or lesion."""

KNOWN_CASES = {"ocdc_oscc/ocdc_oscc_0013.webp"}
"""A source of one patient or slide, as its documentation says: the split is by tile."""


@pytest.fixture
def folders(shared_data: Path) -> list[Path]:
    return sorted(path.parent for path in (shared_data / "omnis-mini").glob("*/annotations.json"))


def test_the_only_errors_are_those_that_were_looked_at(medrov: Any, folders: list[Path]) -> None:
    done = medrov("data", "check", *folders, "--json")
    assert len(folders) == done.json["sources"] >= 99
    errors = [finding for finding in done.json["findings"] if finding["severity"] == "error"]
    by_code = {
        code: {f["where"] for f in errors if f["code"] == code} for code in {f["code"] for f in errors}
    }
    assert by_code == {"near_duplicate": KNOWN_PAIRS, "case_in_two_splits": KNOWN_CASES}
    assert done.exit_code == 3


def test_merge_presence_and_stats(medrov: Any, folders: list[Path], tmp_path: Path) -> None:
    done = medrov("data", "merge", *folders, "--output", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    path = tmp_path / "out" / "dataset.yaml"
    dataset = load_dataset(path)
    assert len(dataset.sources) == len(folders)
    names = [source.name for source in dataset.sources]

    def value(source: str, name: str) -> int:
        return int(dataset.presence[names.index(source), dataset.classes.index(name)])

    # What the sources' own documentation says of them.
    assert value("liver_ct", "left kidney") == value("liver_ct", "pancreas") == 0
    assert value("monusac_cells", "nuclei") == value("drions", "optic cup") == 0
    assert value("lung_cxr", "vertebra") == 0
    assert value("bccd", "liver") == value("drions", "liver") == value("kvasir_seg", "nuclei") == -1
    stats = medrov("data", "stats", path, "--json").json
    assert stats["images"] == sum(len(samples) for samples in dataset.samples.values())


def test_a_new_split_of_a_source_keeps_its_patients_together(
    medrov: Any, shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "omnis-mini" / "curvas_ct"
    shutil.copytree(source, tmp_path / "curvas_ct")
    done = medrov("data", "split", tmp_path / "curvas_ct", "--json")
    assert done.exit_code == 0, done.stderr
    assert min(done.json["cases"].values()) > 0
    checked = medrov("data", "check", tmp_path / "curvas_ct", "--json").json
    assert not [f for f in checked["findings"] if f["code"] == "case_in_two_splits"]
