"""The importer against ultralytics itself: same checkpoint, same outputs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.model.fitting import check_fit
from medrov_cli.core.model.importing.archive import TorchArchive
from medrov_cli.core.model.importing.importer import (
    ImportSettings,
    import_ultralytics_checkpoint,
)
from medrov_cli.core.model.importing.text_encoders import BIOMED_CLIP, OPENAI_CLIP
from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.weights.container import EMBEDDINGS
from medrov_cli.core.weights.metadata import ArchitectureInfo, TextEncoderInfo
from weights_fixtures import SIDE, smooth_images, unit_rows, world_checkpoint


@pytest.fixture(scope="module")
def checkpoint_n(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world_checkpoint(tmp_path_factory.mktemp("n") / "medrov.pt", "n", classes=("nodule", "a/b"))


def detector_of(tensors: dict[str, np.ndarray], scale: str) -> Detector:
    detector = Detector(Architecture(scale)).eval()
    state = {name: torch.from_numpy(value).float() for name, value in tensors.items() if name != EMBEDDINGS}
    missing, unexpected = detector.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return detector


@pytest.mark.parametrize("scale", ["s", "l"])
@pytest.mark.slow
def test_outputs_equal_those_of_ultralytics(scale: str, tmp_path: Path) -> None:
    path = world_checkpoint(tmp_path / "medrov.pt", scale)
    reference = torch.load(path, weights_only=False)["ema"].float().eval()
    assert any(".cv5." in name for name in reference.state_dict())
    images = smooth_images(1, seed=2)
    text = torch.from_numpy(unit_rows(5, seed=3))
    reference.model[-1].nc = 5
    with torch.no_grad():
        expected, _ = reference.predict(images, txt_feats=text[None])
    centre, size, scores = expected[:, :2], expected[:, 2:4], expected[:, 4:].transpose(1, 2)
    boxes_xyxy = torch.cat((centre - size / 2, centre + size / 2), 1).transpose(1, 2)
    assert scores.std() > 0.02  # the comparison would be worth nothing on a constant

    tensors, metadata = import_ultralytics_checkpoint(path)
    assert metadata.architecture == ArchitectureInfo(scale, text_adapter=False)
    assert {value.dtype for value in tensors.values()} == {np.dtype(np.float16)}
    with torch.no_grad():
        found_boxes, found_scores = detector_of(tensors, scale).detect(images, text)

    assert (found_scores - scores).abs().max() < 1e-5
    assert (found_boxes - boxes_xyxy).abs().max() / SIDE < 1e-5  # in units of the image's side


def test_metadata_says_what_the_checkpoint_says(checkpoint_n: Path) -> None:
    tensors, metadata = import_ultralytics_checkpoint(checkpoint_n)
    assert metadata.name == "medrov"
    assert metadata.imgsz == 640
    assert metadata.text_encoder == BIOMED_CLIP
    assert metadata.licence == "AGPL-3.0 (https://ultralytics.com/license)"
    assert "medrov.pt" in metadata.source
    assert "ultralytics 8.3.147 on 2025-11-20T10:00:00" in metadata.source
    assert [entry.name for entry in metadata.vocabulary] == ["nodule", "a/b"]
    assert tensors[EMBEDDINGS] == pytest.approx(unit_rows(2), abs=1e-3)
    assert not any("cv5" in name for name in tensors)
    check_fit(tensors, metadata.architecture, "medrov.pt")


def test_settings_replace_what_was_found(checkpoint_n: Path) -> None:
    given_settings = ImportSettings(name="mine", text_encoder=TextEncoderInfo("minilm", width=384), imgsz=320)
    _, metadata = import_ultralytics_checkpoint(checkpoint_n, given_settings)
    assert (metadata.name, metadata.imgsz) == ("mine", 320)
    assert metadata.text_encoder == TextEncoderInfo("minilm", width=384)


def test_stock_world_model_is_openai_clip_without_vocabulary(tmp_path: Path) -> None:
    path = world_checkpoint(
        tmp_path / "yolov8n-worldv2.pt", "n", unused_branch=False, train_args={"imgsz": 650}
    )
    tensors, metadata = import_ultralytics_checkpoint(path)
    assert metadata.text_encoder == OPENAI_CLIP
    assert metadata.vocabulary == ()  # its embeddings are random placeholders
    assert EMBEDDINGS not in tensors
    assert metadata.imgsz == 640  # 650 is no multiple of 32


def test_averaged_weights_are_preferred(checkpoint_n: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint_n, weights_only=False)
    other = torch.load(checkpoint_n, weights_only=False)["ema"]
    torch.nn.init.zeros_(other.model[0].conv.weight)
    torch.save(content | {"model": other}, tmp_path / "both.pt")
    torch.save(content | {"model": other, "ema": None}, tmp_path / "model.pt")
    torch.save(other, tmp_path / "bare.pt")
    first = {
        name: import_ultralytics_checkpoint(tmp_path / f"{name}.pt")[0]["model.0.conv.weight"]
        for name in ("both", "model", "bare")
    }
    assert np.abs(first["both"]).max() > 0
    assert not first["model"].any()
    assert not first["bare"].any()


def test_embedded_text_model_is_left_out(checkpoint_n: Path, tmp_path: Path) -> None:
    from open_clip.hf_model import HFTextEncoder
    from transformers import BertConfig

    BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=50
    ).save_pretrained(tmp_path / "bert")
    encoder = HFTextEncoder(str(tmp_path / "bert"), 32, proj_type="mlp", pretrained=False)
    content = torch.load(checkpoint_n, weights_only=False)
    plain, _ = import_ultralytics_checkpoint(checkpoint_n)
    content["ema"].clip_model = encoder
    assert any(name.startswith("clip_model.") for name in content["ema"].state_dict())
    torch.save(content, tmp_path / "with_text.pt")
    tensors, _ = import_ultralytics_checkpoint(tmp_path / "with_text.pt")
    assert tensors.keys() == plain.keys()


def test_a_detector_of_another_task_is_refused(tmp_path: Path) -> None:
    from ultralytics.nn.tasks import SegmentationModel

    torch.save({"model": SegmentationModel("yolov8n-seg.yaml", verbose=False)}, tmp_path / "yolov8n.pt")
    with pytest.raises(MedrovError, match="SegmentationModel with the head Segment;") as caught:
        import_ultralytics_checkpoint(tmp_path / "yolov8n.pt")
    assert caught.value.exit_code == ExitCode.WEIGHTS


@pytest.mark.parametrize("change", ["eps", "activation", "not finite", "not a model", "narrow"])
def test_models_that_would_give_other_outputs_are_refused(
    change: str, checkpoint_n: Path, tmp_path: Path
) -> None:
    content = torch.load(checkpoint_n, weights_only=False)
    model = content["ema"]
    if change == "eps":
        model.model[0].bn.eps = 1e-5
    elif change == "activation":
        model.model[9].cv1.act = torch.nn.Identity()
    elif change == "not finite":
        model.model[0].conv.weight.data[0] = float("nan")
    elif change == "not a model":
        content["ema"] = model.state_dict()
    else:
        model.model[0].conv.weight.data = model.model[0].conv.weight.data[:8]
    torch.save(content, tmp_path / "changed.pt")
    with pytest.raises(MedrovError) as caught:
        import_ultralytics_checkpoint(tmp_path / "changed.pt")
    assert caught.value.exit_code == ExitCode.WEIGHTS


def test_fit_names_the_first_wrong_tensor(checkpoint_n: Path) -> None:
    tensors, metadata = import_ultralytics_checkpoint(checkpoint_n)
    del tensors["model.22.cv4.0.logit_scale"]
    with pytest.raises(MedrovError, match=r"'model\.22\.cv4\.0\.logit_scale' is none, the network has"):
        check_fit(tensors, metadata.architecture, "x.pt")
    with pytest.raises(MedrovError, match="not a YOLO-World v2 s"):
        check_fit(tensors, ArchitectureInfo("s"), "x.pt")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
        torch.arange(24, dtype=torch.float64).reshape(4, 6).T,
        torch.arange(10, dtype=torch.int64)[3:8],
        torch.randn(2, 3, 4, 5).half().to(memory_format=torch.channels_last),
        torch.tensor(7.5),
        torch.tensor([True, False]),
        torch.tensor([[1.5, -2.25]], dtype=torch.bfloat16),
    ],
)
def test_tensors_of_every_layout_are_read(tensor: torch.Tensor, tmp_path: Path) -> None:
    torch.save({"x": tensor}, tmp_path / "x.pt")
    with TorchArchive(tmp_path / "x.pt", InputLimits()) as archive:
        found = archive.tensor(archive.content()["x"])
    expected = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("kept", [0, 1, 6, 7])
@pytest.mark.parametrize("added", [b"", b"x"])
def test_a_storage_that_ends_within_a_value_is_refused(kept: int, added: bytes, tmp_path: Path) -> None:
    torch.save({"x": torch.tensor([[1.5, -2.25]])}, tmp_path / "whole.pt")
    with (
        zipfile.ZipFile(tmp_path / "whole.pt") as source,
        zipfile.ZipFile(tmp_path / "cut.pt", "w") as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            cut = (content if added else content[:kept]) + added
            target.writestr(name, cut if name.endswith("/data/0") else content)
    with TorchArchive(tmp_path / "cut.pt", InputLimits()) as archive:
        reference = archive.content()["x"]
        with pytest.raises(MedrovError, match=r"cut\.pt") as caught:
            archive.tensor(reference)
    assert (caught.value.code, caught.value.exit_code) == (ErrorCode.WEIGHTS_CORRUPT, ExitCode.WEIGHTS)


def test_tensors_of_big_endian_machines_are_read(tmp_path: Path) -> None:
    torch.save({"x": torch.tensor([[1.5, -2.25]])}, tmp_path / "little.pt")
    with (
        zipfile.ZipFile(tmp_path / "little.pt") as source,
        zipfile.ZipFile(tmp_path / "big.pt", "w") as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("/byteorder"):
                assert content == b"little"
                content = b"big"
            elif name.endswith("/data/0"):
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            target.writestr(name, content)
    with TorchArchive(tmp_path / "big.pt", InputLimits()) as archive:
        assert archive.tensor(archive.content()["x"]).tolist() == [[1.5, -2.25]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_raise_our_error_only(data: st.DataObject, checkpoint_n: Path, tmp_path: Path) -> None:
    content = bytearray(checkpoint_n.read_bytes())
    if data.draw(st.booleans(), label="truncate"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        near_start, near_end = st.integers(0, 130_000), st.integers(len(content) - 60_000, len(content) - 1)
        for place in data.draw(st.lists(near_start | near_end, min_size=1, max_size=8)):
            content[place] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged.pt").write_bytes(content)
    try:
        import_ultralytics_checkpoint(tmp_path / "damaged.pt")
    except MedrovError as error:
        assert error.exit_code == ExitCode.WEIGHTS  # noqa: PT017 - a survivor is fine, another error is not


@pytest.mark.parametrize("name", ["none.pt", "."])
def test_missing_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(MedrovError) as caught:
        import_ultralytics_checkpoint(tmp_path / name)
    assert caught.value.code == ErrorCode.WEIGHTS_MISSING
