"""``benchmarks/closed_set.py``: the start of ultralytics' network from a file of medrov."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

import closed_set

WEIGHTS = Path(__file__).parents[2] / "weights" / "medrov-n.safetensors"


def make_network(start: Path) -> torch.nn.Module:
    trainer = object.__new__(closed_set.trainer_from(start))
    trainer.args = SimpleNamespace(cls_remap=False)
    trainer.data = {"nc": 178, "channels": 3, "names": {}}
    network: torch.nn.Module = trainer.get_model("yolov8n.yaml", None, verbose=False)
    return network


@pytest.mark.slow
def test_the_network_starts_from_the_shared_tensors(tmp_path: Path) -> None:
    mine = load_file(WEIGHTS)
    own = make_network(WEIGHTS).state_dict()
    for name in ("model.0.conv.weight", "model.9.cv2.bn.running_var", "model.22.cv2.1.2.bias"):
        assert torch.equal(own[name], mine[name].float()), name
    joined = "model.15.cv2.conv.weight"  # medrov appends the channels of the text attention
    assert torch.equal(own[joined], mine[joined][:, : own[joined].shape[1]].float())
    assert mine[joined].shape[1] > own[joined].shape[1]

    del mine["model.4.cv1.conv.weight"]
    save_file(mine, tmp_path / "a.safetensors")
    with pytest.raises(SystemExit, match=r"no tensor for model\.4\.cv1\.conv\.weight"):
        make_network(tmp_path / "a.safetensors")
