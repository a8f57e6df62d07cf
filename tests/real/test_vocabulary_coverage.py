"""The shipped vocabulary covers the classes of Omnis and of the real images."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from medrov_cli.core.text.lexicon import modalities_of
from medrov_cli.core.text.minilm.encoder import MINILM
from medrov_cli.core.text.vocabulary import shipped_embeddings

pytestmark = pytest.mark.slow


def test_every_class_and_synonym_of_the_presence_table_is_shipped(shared_data: Path) -> None:
    table = shared_data.parent / "facts" / "omnis_presence.csv"
    if not table.is_file():
        pytest.skip("the presence table is not here")
    with table.open(encoding="utf-8", newline="") as stream:
        classes = next(csv.reader(stream))[1:]
    assert len(classes) == 157
    texts = {text for name in classes for text in name.split("/")}
    assert texts - set(shipped_embeddings(MINILM)) == set()


def test_every_class_of_the_real_images_is_shipped_with_the_modality_that_shows_it(shared_data: Path) -> None:
    index = json.loads((shared_data / "omnis-mini" / "index.json").read_text(encoding="utf-8"))
    classes = {name for source in index for name in source["categories"]}
    assert len(classes) == 178
    assert classes - set(shipped_embeddings(MINILM)) == set()
    for source in index:
        for name in source["categories"]:
            assert source["modality"] in {modality.value.lower() for modality in modalities_of(name)}, name
