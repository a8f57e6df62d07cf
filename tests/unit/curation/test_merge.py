"""Merging sources: what the class map does, what is written, and that originals stay untouched."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.curation.merge import merge_sources
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.settings.data import MergeSettings
from source_folders import Picture, read_coco, write_coco, write_source


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    smear = [
        Picture("train", [("rbc", 1, 2, 9, 9), ("erythrocyte", 20, 2, 9, 9), ("dirt", 40, 2, 5, 5)]),
        Picture("val", [("dirt", 1, 1, 4, 4)]),
    ]
    liver = [Picture("train", [("liver", 1, 2, 9, 9)])]
    return [
        write_source(tmp_path / "in" / "smear", smear, ["rbc", "erythrocyte", "dirt"], "microscopy"),
        write_source(tmp_path / "in" / "ct", liver, ["liver"], "CT"),
    ]


def class_map(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "map.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_sources_without_a_map_stay_where_they_are(folders: list[Path], tmp_path: Path) -> None:
    merged = merge_sources(MergeSettings(tuple(folders), tmp_path / "out"))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "dataset.yaml",
        "merge.json",
        "presence.csv",
    ]
    assert [own.path for own in merged.sources] == ["../in/smear", "../in/ct"]
    dataset = load_dataset(tmp_path / "out" / "dataset.yaml")
    assert dataset.name == "out"
    assert dataset.classes == ("rbc", "erythrocyte", "dirt", "liver")
    assert [len(dataset.samples[split]) for split in ("train", "val", "test")] == [2, 1, 0]


MAP = """\
rename: {rbc: red blood cell, erythrocyte: red blood cell}
drop: [dirt]
synonyms: {red blood cell: rbc/erythrocyte}
"""


def test_two_classes_become_one_and_a_third_is_dropped(folders: list[Path], tmp_path: Path) -> None:
    before = contents(tmp_path / "in")
    merged = merge_sources(MergeSettings(tuple(folders), tmp_path / "out", class_map(tmp_path, MAP), "blood"))
    assert contents(tmp_path / "in") == before
    new = read_coco(tmp_path / "out" / "smear")
    assert new["categories"] == [{"id": 1, "name": "red blood cell"}]
    assert [(a["id"], a["image_id"], a["category_id"], a["bbox"]) for a in new["annotations"]] == [
        (1, 1, 1, [1, 2, 9, 9]),
        (2, 1, 1, [20, 2, 9, 9]),
    ]
    assert len(new["images"]) == 2  # one without a box now
    image = tmp_path / "out" / "smear" / "images" / "001.png"
    assert image.samefile(folders[0] / "images" / "001.png")
    assert [own.rewritten for own in merged.sources] == [True, False]
    assert merged.sources[0].dropped == ("dirt",)
    dataset = load_dataset(tmp_path / "out" / "dataset.yaml")
    assert (dataset.name, dataset.classes) == ("blood", ("red blood cell", "liver"))
    assert dataset.synonyms == {"red blood cell": ("rbc", "erythrocyte")}
    assert dataset.presence.tolist() == [[1, -1], [-1, 1]]


def test_the_record_says_what_was_done(folders: list[Path], tmp_path: Path) -> None:
    merged = merge_sources(MergeSettings(tuple(folders), tmp_path / "out", class_map(tmp_path, MAP)))
    record = json.loads((tmp_path / "out" / "merge.json").read_text())
    assert record == merged.as_dict()
    assert record["sources"][0]["renamed"] == {"rbc": "red blood cell", "erythrocyte": "red blood cell"}
    assert str(tmp_path) not in (tmp_path / "out" / "merge.json").read_text()


def test_rules_of_one_source_count_more(folders: list[Path], tmp_path: Path) -> None:
    text = "drop: [dirt]\nsources: {smear: {rename: {dirt: artefact}}}\n"
    merge_sources(MergeSettings(tuple(folders), tmp_path / "out", class_map(tmp_path, text)))
    names = [c["name"] for c in read_coco(tmp_path / "out" / "smear")["categories"]]
    assert names == ["rbc", "erythrocyte", "artefact"]


def test_names_are_mapped_once(folders: list[Path], tmp_path: Path) -> None:
    text = "rename: {rbc: erythrocyte, erythrocyte: rbc}\n"
    merge_sources(MergeSettings(tuple(folders), tmp_path / "out", class_map(tmp_path, text)))
    categories = read_coco(tmp_path / "out" / "smear")["categories"]
    assert [c["name"] for c in categories] == ["erythrocyte", "rbc", "dirt"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rename: {rcb: x}\n", "has a class 'rcb'"),
        ("drop: [rcb]\n", "has a class 'rcb'"),
        ("sources: {smear: {drop: [liver]}}\n", "source 'smear' has no class 'liver'"),
        ("sources: {smaer: {}}\n", "no source 'smaer'"),
        ("rename: {rbc: x}\ndrop: [rbc]\n", "both renamed and dropped"),
        ("drop: [liver]\n", "drops every class of the source 'ct'"),
        ("rename: {rbc: x}\nsynonyms: {rbc: a}\n", "'rbc', which no source has"),
        ("renmae: {}\n", "unknown key 'renmae'"),
        ("sources: {smear: {synonyms: {}}}\n", "unknown key 'synonyms'"),
        ("rename: [rbc]\n", "'rename' is not a mapping"),
        ("drop: rbc\n", "'drop' is not a list"),
        ("rename: {rbc: }\n", "renamed to an empty name"),
        ("- rbc\n", "not a class map"),
        ("rename: {rbc: [\n", "not YAML"),
    ],
)
def test_maps_that_do_not_fit_are_refused(
    folders: list[Path], tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(MedrovError) as caught:
        merge_sources(MergeSettings(tuple(folders), tmp_path / "out", class_map(tmp_path, text)))
    assert caught.value.code is ErrorCode.DATASET_INVALID
    assert message in caught.value.message
    assert not (tmp_path / "out").exists()


def test_a_dataset_is_not_replaced_unasked(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    merge_sources(MergeSettings(tuple(folders), out, class_map(tmp_path, MAP)))
    first = contents(out)
    (out / "presence.csv").write_text("edited by hand")
    with pytest.raises(MedrovError) as caught:
        merge_sources(MergeSettings(tuple(folders), out))
    assert caught.value.code is ErrorCode.USAGE
    assert (out / "presence.csv").read_text() == "edited by hand"
    merge_sources(MergeSettings(tuple(folders), out, class_map(tmp_path, MAP), overwrite=True))
    assert contents(out) == first


def test_a_killed_merge_goes_on(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    merge_sources(MergeSettings(tuple(folders), out, class_map(tmp_path, MAP)))
    first = contents(out)
    (out / "dataset.yaml").unlink()  # it is written last
    (out / "smear" / "images" / "002.png").unlink()
    merge_sources(MergeSettings(tuple(folders), out, class_map(tmp_path, MAP)))
    assert contents(out) == first


def test_a_source_is_never_written_over_itself(folders: list[Path], tmp_path: Path) -> None:
    before = contents(tmp_path / "in")
    with pytest.raises(MedrovError) as caught:
        merge_sources(MergeSettings(tuple(folders), tmp_path / "in", class_map(tmp_path, MAP)))
    assert caught.value.code is ErrorCode.USAGE
    assert contents(tmp_path / "in") == before


def test_names_must_differ_and_splits_must_be_there(folders: list[Path], tmp_path: Path) -> None:
    twin = write_source(tmp_path / "other" / "ct", [Picture("train")], ["liver"])
    with pytest.raises(MedrovError, match="two folders have the name 'ct'"):
        merge_sources(MergeSettings((*folders, twin), tmp_path / "out"))
    bare = write_source(tmp_path / "bare", [Picture(None)], ["liver"])
    with pytest.raises(MedrovError, match="no split"):
        merge_sources(MergeSettings((bare,), tmp_path / "out"))


def test_images_are_copied_where_there_are_no_hard_links(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "another file system")

    monkeypatch.setattr("os.link", refuse)
    merge_sources(MergeSettings(tuple(folders), tmp_path / "out", class_map(tmp_path, MAP)))
    copy = tmp_path / "out" / "smear" / "images" / "001.png"
    assert copy.read_bytes() == (folders[0] / "images" / "001.png").read_bytes()
    assert not copy.samefile(folders[0] / "images" / "001.png")


def test_a_missing_image_is_named(folders: list[Path], tmp_path: Path) -> None:
    (folders[0] / "images" / "001.png").unlink()
    with pytest.raises(MedrovError, match=r"001\.png is missing"):
        merge_sources(MergeSettings(tuple(folders), tmp_path / "out", class_map(tmp_path, MAP)))
    assert not (tmp_path / "out" / "dataset.yaml").exists()


def test_class_names_with_commas_survive(tmp_path: Path) -> None:
    folder = write_source(
        tmp_path / "a", [Picture("train", [('cyst, "large"', 1, 1, 5, 5)])], ['cyst, "large"']
    )
    merge_sources(MergeSettings((folder,), tmp_path / "out"))
    assert load_dataset(tmp_path / "out" / "dataset.yaml").classes == ('cyst, "large"',)
    with (tmp_path / "out" / "presence.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [["dataset", 'cyst, "large"'], ["a", "1"]]


def test_a_class_that_only_a_detector_labelled_is_not_annotated(tmp_path: Path) -> None:
    folder = write_source(
        tmp_path / "gut",
        [Picture("train", [("ulcer", 1, 2, 9, 9), ("Ulcer", 30, 2, 9, 9), ("polyp", 1, 20, 9, 9)])],
        ["ulcer", "Ulcer", "polyp"],
        "endoscopy",
    )
    document = read_coco(folder)
    document["categories"][0]["source"] = document["annotations"][0]["source"] = "pseudo"
    write_coco(folder, document)
    merge_sources(MergeSettings((folder,), tmp_path / "out"))
    dataset = load_dataset(tmp_path / "out" / "dataset.yaml")
    assert dict(zip(dataset.classes, dataset.presence[0].tolist(), strict=True)) == {
        "Ulcer": 1,
        "polyp": 1,
        "ulcer": 0,
    }
    # Joined with a class that people annotated, it is annotated; its boxes stay marked.
    chosen = class_map(tmp_path, "rename: {Ulcer: ulcer}")
    merge_sources(MergeSettings((folder,), tmp_path / "joined", class_map=chosen))
    dataset = load_dataset(tmp_path / "joined" / "dataset.yaml")
    assert (dataset.classes, dataset.presence.tolist()) == (("ulcer", "polyp"), [[1, 1]])
    joined = read_coco(tmp_path / "joined" / "gut")
    assert [own.get("source") for own in joined["annotations"]] == ["pseudo", None, None]
