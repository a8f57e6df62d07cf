"""Tiny open_clip models with random weights, laid out as open_clip's own export does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}


def write_clip(folder: Path) -> Path:
    """Write a model with open_clip's own text and image transformers, 64 wide."""
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    return write_open_clip(folder, {"embed_dim": 64, "vision_cfg": VISION, "text_cfg": text})


def write_open_clip(
    folder: Path, model_cfg: dict[str, Any], preprocess_cfg: dict[str, Any] | None = None
) -> Path:
    """Write the config and random weights of a model, as open_clip's own export lays them out."""
    import torch
    from open_clip import CLIP, CustomTextCLIP
    from safetensors.torch import save_file

    config = {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg or {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    settings = dict(model_cfg["text_cfg"])
    kind = CLIP
    if "hf_model_name" in settings:
        settings |= {"hf_model_name": str(folder), "hf_model_pretrained": False}
        kind = CustomTextCLIP
    torch.manual_seed(0)
    model = kind(**{**model_cfg, "text_cfg": settings})
    tensors = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    return folder
