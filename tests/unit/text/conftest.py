"""A real default encoder, loaded once, and tiny open_clip models with random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from medrov_cli.core.text.encoders import open_encoder
from medrov_cli.core.text.protocol import TextEncoder
from open_clip_models import write_clip, write_open_clip

COMMIT = "0123456789abcdef0123456789abcdef01234567"

TIMM_VISION = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160}
"""A network of timm as BiomedCLIP's, but of a third of a million weights."""

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "lung", "nodule", "polyp", "colon"]


@pytest.fixture(scope="session")
def minilm() -> TextEncoder:
    return open_encoder("minilm", offline=True)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of open_clip with its own text transformer, 64 wide."""
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model built like BiomedCLIP: towers of transformers and timm, 48 wide, own preprocessing."""
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
    preprocess = {
        "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3],
        "interpolation": "bilinear", "resize_mode": "squash",
    }  # fmt: skip
    return write_open_clip(folder, {"embed_dim": 48, "vision_cfg": TIMM_VISION, "text_cfg": text}, preprocess)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache of the Hugging Face hub."""
    import huggingface_hub.constants

    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def put_in_hub() -> Callable[..., Path]:
    """Return a function that lays files out as a download would, and returns the snapshot's folder."""

    def put(hub: Path, name: str, folder: Path, *only: str) -> Path:
        repository = hub / f"models--{name.replace('/', '--')}"
        snapshot = repository / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(COMMIT)
        for path in folder.iterdir():
            if not only or path.name in only:
                shutil.copy(path, snapshot)
        return snapshot

    return put
