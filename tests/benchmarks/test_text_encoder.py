"""``benchmarks/text_encoder.py``: figures of the text encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import text_encoder
from benchmark_documents import measured, sections


@pytest.mark.slow
def test_the_text_side(script: Any, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("MEDROV_CACHE", str(cache))
    done = script(text_encoder, "-w", weights, "--classes", 5, "--rounds", 1, "--json")
    document = measured(done)
    assert sections(document) == {"text"}
    text = document["text"]
    assert (text["encoder"], text["classes"]) == ("minilm", 5)
    change = text["cached_classes_ms"] + text["fold_classes_ms"]
    assert text["change_of_vocabulary_ms"] == pytest.approx(change, rel=2e-3)
    assert not (cache / "text").exists(), "the user's cache was used"


def test_images_are_refused(script: Any) -> None:
    done = script(text_encoder, "a.png")
    assert done.exit_code == 2
    assert "a.png" in done.stderr


@pytest.mark.slow
def test_a_table_for_people(script: Any, weights: Path) -> None:
    done = script(text_encoder, "-w", weights, "--classes", 2, "--rounds", 1)
    assert done.exit_code == 0, done.stderr
    assert "2 cached classes, folded for the network" in done.stdout
