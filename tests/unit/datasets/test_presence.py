"""The presence table: what is read, what is refused, and what it spares from being a negative."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.omnis import find_column, omnis_presence
from medrov_cli.core.datasets.presence import presence_csv, presence_from_annotations, read_presence
from medrov_cli.core.settings.train_groups import AugmentationSettings
from medrov_cli.core.training.data.loader import BatchSource, LoaderSettings
from medrov_cli.core.training.data.prompting import ClassTexts
from medrov_cli.core.training.data.store import ImageStore
from training_data import make_source

SOURCES = ("ct", "smear")
CLASSES = ("liver", "kidney", "nuclei")
ANNOTATED = presence_from_annotations([[0], [2]], 3)


def _read(tmp_path: Path, text: str) -> np.ndarray:
    path = tmp_path / "presence.csv"
    path.write_text(text)
    return read_presence(path, SOURCES, CLASSES, ANNOTATED)


def test_without_a_table_what_is_not_annotated_is_impossible() -> None:
    np.testing.assert_array_equal(ANNOTATED, [[1, -1, -1], [-1, -1, 1]])


def test_rows_and_columns_in_any_order(tmp_path: Path) -> None:
    table = _read(tmp_path, "dataset,nuclei,kidney\nsmear,1,-1\nct,-1,0\n")
    np.testing.assert_array_equal(table, [[1, 0, -1], [-1, -1, 1]])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("source,liver\nct,1\nsmear,-1\n", "'source'"),
        ("dataset,spleen\nct,1\nsmear,-1\n", "'spleen'"),
        ("dataset,liver\nmri,1\n", "'mri'"),
        ("dataset,liver\nct,1\n", "'smear'"),
        ("dataset,liver\nct,2\nsmear,-1\n", "'2'"),
        ("dataset,liver\nct,0\nsmear,-1\n", "annotates"),
        ("dataset,kidney\nct,1\nsmear,-1\n", "does not annotate"),
        ("dataset,liver\nct\nsmear,-1\n", "fields"),
        ("", "empty table"),
    ],
)
def test_refusals(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(MedrovError, match=says) as caught:
        _read(tmp_path, text)
    assert caught.value.code is ErrorCode.DATASET_INVALID


def test_the_omnis_table_is_whole() -> None:
    datasets, classes, table = omnis_presence()
    assert (len(set(datasets)), len(set(classes)), table.shape) == (37, 157, (37, 157))
    assert table.dtype == np.int8
    assert [int((table == value).sum()) for value in (1, 0, -1)] == [278, 1141, 4390]
    row = table[datasets.index("BCCD")]
    annotated = [name for name, value in zip(classes, row, strict=True) if value == 1]
    assert annotated == ["platelets", "red blood cell/rbc", "white blood cell/wbc"]
    with pytest.raises(ValueError, match="read-only"):
        table[0, 0] = 0


def _omnis(folder: Path, sources: dict[str, tuple[str, list[str]]], presence: str = "omnis") -> Dataset:
    for name, (modality, classes) in sources.items():
        make_source(folder, name, modality, classes)
    path = folder / "data.yaml"
    path.write_text(f"sources: [{', '.join(sources)}]\npresence: {presence}\n")
    return load_dataset(path)


def test_a_yaml_takes_its_part_of_the_omnis_table(tmp_path: Path) -> None:
    sources = {
        "BCCD": ("microscopy", ["RBC", "white  blood cell/WBC", "platelets"]),
        "FLARE22": ("ct", ["liver", "postcava"]),
        "CXR8": ("x-ray", ["lung mass"]),
    }
    dataset = _omnis(tmp_path, sources)
    assert dataset.classes == ("RBC", "white  blood cell/WBC", "platelets", "liver", "postcava", "lung mass")
    expected = [[1, 1, 1, -1, -1, -1], [-1, -1, -1, 1, 1, 0], [-1, -1, -1, -1, 0, 1]]
    np.testing.assert_array_equal(dataset.presence, expected)  # a lung is in reach of FLARE22's scans
    dataset.presence[0, 0] = 0  # the dataset's own: the shipped table stays as it is
    assert int((omnis_presence()[2] == 1).sum()) == 278


def test_a_class_that_omnis_annotates_and_the_source_does_not_is_refused(tmp_path: Path) -> None:
    sources = {"AbdomenAtlas": ("ct", ["liver"]), "MSD_Spleen": ("ct", ["spleen"])}
    says = "1 at 'AbdomenAtlas', 'spleen', although the source does not annotate"
    with pytest.raises(MedrovError, match=says) as caught:
        _omnis(tmp_path, sources)
    assert caught.value.code is ErrorCode.DATASET_INVALID


@pytest.mark.parametrize(
    ("source", "classes", "says", "hint"),
    [
        ("bccd", ["platelets"], "the source 'bccd' is not a dataset", "Close names: BCCD. "),
        (
            "my-hospital",
            ["platelets"],
            "the source 'my-hospital' is not",
            "^Set the name of the source .* write a presence",
        ),
        (
            "BCCD",
            ["platelets", "red blood cells"],
            "the class 'red blood cells'",
            "Close names: red blood cell",
        ),
        ("BCCD", ["platelets", "wbcs"], "the class 'wbcs' is not in", "Close names: wbc"),
        (
            "BCCD",
            ["platelets", "zzz"],
            "the class 'zzz' is not in the",
            "^Rename the class .* write a presence",
        ),
        ("BCCD", ["rbc/red blood cell"], "the class 'rbc/red blood cell' is not in", "write a presence.csv"),
        ("BCCD", ["platelets", "liver"], "-1 at 'BCCD', 'liver', although the source annotates", "Compare"),
        ("AbdomenAtlas", ["liver", "trachea"], "0 at 'AbdomenAtlas', 'trachea', although", "Compare"),
    ],
)
def test_what_the_omnis_table_does_not_fit_is_refused(
    tmp_path: Path, source: str, classes: list[str], says: str, hint: str
) -> None:
    with pytest.raises(MedrovError, match=says) as caught:
        _omnis(tmp_path, {source: ("ct", classes)})
    assert caught.value.code is ErrorCode.DATASET_INVALID
    assert "data.yaml" in caught.value.message
    assert re.search(hint, caught.value.hint or "")


def test_a_file_that_is_named_omnis_is_still_a_file(tmp_path: Path) -> None:
    (tmp_path / "omnis").write_text("dataset,platelets\nmine,1\n")
    dataset = _omnis(tmp_path, {"mine": ("microscopy", ["platelets"])}, presence="./omnis")
    np.testing.assert_array_equal(dataset.presence, [[1]])


@pytest.mark.parametrize(
    ("name", "index"),
    [("cell", 0), ("NUCLEUS", 0), ("cell/nucleus", 0), ("  white   cell ", 1), ("wbc", 1), ("gland", 3)],
)
def test_a_class_finds_its_column(name: str, index: int) -> None:
    columns = ("cell/nucleus", "white cell/cell/WBC", "thyroid/gland", "Gland")
    assert find_column(Path("data.yaml"), name, columns) == index


@pytest.mark.parametrize("columns", [("a/x", "b/x", "c"), ("x/a", "x/b", "c/x"), ("x", "x/b")])
def test_a_class_of_two_equal_columns_is_refused(columns: tuple[str, ...]) -> None:
    both = f"the class 'X' matches '{columns[0]}' and '{columns[1]}' of the Omnis table"
    with pytest.raises(MedrovError, match=both) as caught:
        find_column(Path("data.yaml"), "X", columns)
    assert caught.value.code is ErrorCode.DATASET_INVALID
    assert "full name" in (caught.value.hint or "")


def test_a_possible_class_is_no_negative_where_its_source_is_shown(tmp_path: Path) -> None:
    make_source(tmp_path, "ct", "ct", ["liver"])
    make_source(tmp_path, "smear", "microscopy", ["nuclei"])
    (tmp_path / "presence.csv").write_text("dataset,nuclei\nct,0\nsmear,1\n")
    (tmp_path / "data.yaml").write_text("sources: [ct, smear]\npresence: presence.csv\n")
    dataset = load_dataset(tmp_path / "data.yaml")
    samples = dataset.samples["train"]
    texts = ClassTexts.build([(name,) for name in dataset.classes])  # row 0 liver, row 1 nuclei
    store = ImageStore(samples, 64)
    config = LoaderSettings(64, 0.0, 4, 0, 80, augmentation=AugmentationSettings(same_source=0.5))
    nearest = np.array([[1], [0]])
    seen = {"some": False, "none": False}
    for epoch in range(4):
        batch = BatchSource(dataset, samples, store, texts, nearest, config, epoch, mosaic=True)[0]
        assert batch.ignored.shape == batch.text_rows.shape
        assert not batch.ignored[batch.text_rows == 0].any(), "no source leaves a liver without a box"
        spared = batch.ignored[batch.text_rows == 1]
        seen["some"] |= bool(spared.any())
        seen["none"] |= bool((~spared).any())
    assert seen == {"some": True, "none": True}


def test_names_that_a_spreadsheet_would_compute_are_marked_and_read_back(tmp_path: Path) -> None:
    sources, classes = ("=ct", "'=ct", "'mr"), ("-polyp", "+cell", "liver")
    values = [[1, 0, -1], [0, 1, 0], [-1, -1, 1]]
    annotated = presence_from_annotations([[0], [1], [2]], 3)
    path = tmp_path / "presence.csv"
    path.write_text(presence_csv(sources, classes, values))
    assert path.read_text() == ("dataset,'-polyp,'+cell,liver\n'=ct,1,0,-1\n''=ct,0,1,0\n''mr,-1,-1,1\n")
    np.testing.assert_array_equal(read_presence(path, sources, classes, annotated), values)
    path.write_text("dataset,-polyp\n=ct,1\n'mr,-1\n''=ct,0\n")
    table = read_presence(path, sources, classes, annotated)
    np.testing.assert_array_equal(table[:, 0], [1, 0, -1])
