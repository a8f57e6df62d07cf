"""The walk through of docs/learn.md: its blocks, run in their order."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from medrov_cli.core.weights.learned_file import read_learned

PAGE = ROOT / "docs" / "learn.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def decide(folder: Path) -> None:
    """Save the decisions that a person makes on the review page: accept the first, reject the last."""
    text = (folder / "review.html").read_text(encoding="utf-8")
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert match is not None
    data = json.loads(match[1])
    assert len(data["items"]) >= 2
    entries = [
        {"source": own["source"], "id": own["id"], "decision": decision}
        for own, decision in ((data["items"][0], "accept"), (data["items"][-1], "reject"))
    ]
    document = {"schema": data["schema"], "labels": data["labels"], "decisions": entries}
    (folder / "decisions.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.slow
def test_the_walk_through_runs(medrov: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert [kind for kind, _ in blocks] == ["sh", "python", "sh", "sh", "sh"]
    for kind, text in blocks:
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), {})
            continue
        for line in text.strip().splitlines():
            program, *words = shlex.split(line)
            assert program == "medrov"
            if words[:2] == ["pseudolabel", "apply"]:
                decide(tmp_path)
            done = medrov(*words)
            assert done.exit_code == 0, (line, done.stderr)
    first, second = (read_learned(tmp_path / f"{name}.classes.safetensors") for name in ("bump", "bump-2"))
    assert first.names == second.names == ("synthetic bump",)
    assert second.info.classes[0].boxes > first.info.classes[0].boxes
    assert first.info.classes[0].validation is not None
    records = (tmp_path / "found" / "detections.jsonl").read_text().splitlines()
    assert any(json.loads(line)["detections"] for line in records)
