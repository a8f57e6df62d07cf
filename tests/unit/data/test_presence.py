"""The presence table: what is read, what is refused, and what it spares from being a negative."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medrov_cli.core.data.augmentation import AugmentationConfig
from medrov_cli.core.data.dataset import load_dataset
from medrov_cli.core.data.loader import BatchSource, LoaderConfig
from medrov_cli.core.data.presence import presence_from_annotations, read_presence
from medrov_cli.core.data.prompting import ClassTexts
from medrov_cli.core.data.store import ImageStore
from medrov_cli.core.errors import ErrorCode, MedrovError
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
        ("", "cannot be read"),
    ],
)
def test_refusals(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(MedrovError, match=says) as caught:
        _read(tmp_path, text)
    assert caught.value.code is ErrorCode.DATASET_INVALID


def test_a_possible_class_is_no_negative_where_its_source_is_shown(tmp_path: Path) -> None:
    make_source(tmp_path, "ct", "ct", ["liver"])
    make_source(tmp_path, "smear", "microscopy", ["nuclei"])
    (tmp_path / "presence.csv").write_text("dataset,nuclei\nct,0\nsmear,1\n")
    (tmp_path / "data.yaml").write_text("sources: [ct, smear]\npresence: presence.csv\n")
    dataset = load_dataset(tmp_path / "data.yaml")
    samples = dataset.samples["train"]
    texts = ClassTexts.build(dataset.classes, {})  # row 0 liver, row 1 nuclei
    store = ImageStore(samples, 64)
    config = LoaderConfig(64, 0.0, 4, 0, 0.0, 80, AugmentationConfig(same_source=0.5))
    seen = {"some": False, "none": False}
    for epoch in range(4):
        batch = BatchSource(dataset, samples, store, texts, config, epoch, mosaic=True)[0]
        assert batch.ignored.shape == batch.text_rows.shape
        assert not batch.ignored[batch.text_rows == 0].any(), "no source leaves a liver without a box"
        spared = batch.ignored[batch.text_rows == 1]
        seen["some"] |= bool(spared.any())
        seen["none"] |= bool((~spared).any())
    assert seen == {"some": True, "none": True}
