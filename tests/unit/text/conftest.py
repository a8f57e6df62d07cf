"""A real default encoder, loaded once, and tiny open_clip models with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medrov_cli.core.text import TextEncoder, open_encoder

VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "lung", "nodule", "polyp", "colon"]


@pytest.fixture(scope="session")
def minilm() -> TextEncoder:
    return open_encoder("minilm", offline=True)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of open_clip with its own text transformer, 64 wide."""
    folder = tmp_path_factory.mktemp("clip")
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    return write_open_clip(folder, {"embed_dim": 64, "vision_cfg": VISION, "text_cfg": text})


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model built like BiomedCLIP: a BERT of transformers as its text tower, 48 wide."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig

    folder = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=32, pad_token_id=0,
    )  # fmt: skip
    config.save_pretrained(folder)
    tokenizer = Tokenizer(
        models.WordPiece(dict(zip(WORDS, range(len(WORDS)), strict=True)), unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]"})
    )
    text = {
        "hf_model_name": "nobody/not-on-this-machine", "hf_tokenizer_name": "nobody/not-on-this-machine",
        "hf_proj_type": "mlp", "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 24,
    }  # fmt: skip
    return write_open_clip(folder, {"embed_dim": 48, "vision_cfg": VISION, "text_cfg": text})


def write_open_clip(folder: Path, model_cfg: dict[str, Any]) -> Path:
    """Write the config and random weights of a model, as open_clip's own export lays them out."""
    import torch
    from open_clip import CLIP, CustomTextCLIP
    from safetensors.torch import save_file

    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model_cfg, "preprocess_cfg": {}}))
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
