"""``medrov export``: exported models answer as the weights do, or they are not written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest

from conftest import ROOT, Finished, Medrov
from detect_fixtures import IMGSZ, write_images
from export_fixtures import CLASSES, IMAGES, Workshop, make_workshop
from learned_fixtures import write_random_classes
from medrov_cli.core.base.locks import folder_beside
from medrov_cli.core.exporting.differences import LIMITS, ParityLimits
from medrov_cli.core.records.box_maps import BoxMap
from medrov_cli.core.settings.choices import ExportPrecision
from medrov_cli.core.weights.container import sha256_of
from tolerances import BOX_ATOL_PX, SCORE_ATOL

pytestmark = pytest.mark.slow

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "medrov.export-1.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDROV_CACHE", str(tmp_path_factory.mktemp("cache")))
        for precision in (ExportPrecision.FP16, ExportPrecision.BF16, ExportPrecision.INT8):
            # A network of random weights is far more sensitive than a trained one.
            patch.setitem(LIMITS, precision, ParityLimits(None, 0.2, None, 20.0, 1.0, 1.0))
        yield make_workshop(tmp_path_factory)


@pytest.fixture
def export(medrov: Medrov, workshop: Workshop) -> Any:
    def run(*arguments: object) -> Finished:
        common = ("--weights", workshop.weights, "--data", workshop.data, "--images", IMAGES)
        return medrov("export", *common, *arguments)

    return run


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 3)
    return folder


def detections(medrov: Medrov, weights: object, images: Path, *options: object) -> list[dict[str, Any]]:
    done = medrov("detect", images, "--weights", weights, "--device", "cpu", "--format", "jsonl", *options)
    assert done.exit_code == 0, done.stderr
    return done.lines


def assert_alike(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Compare the detections of records.

    A last bit may lift one over a threshold, or keep one that a neighbour would suppress: one in fifty.
    """
    scores = []
    for own, other in zip(found, expected, strict=True):
        unlike = max(len(unmatched(own, other, scores)), len(unmatched(other, own, scores)))
        assert unlike <= 1 + len(other["detections"]) / 50
    assert len(scores) > 40
    assert np.median(scores) < SCORE_ATOL


def unmatched(these: dict[str, Any], others: dict[str, Any], gaps: list[float]) -> list[dict[str, Any]]:
    """Return the detections that others do not have; add the differences of scores of the rest."""
    alone = []
    boxes = np.array([other["box_xyxy"] for other in others["detections"]]).reshape(-1, 4)
    scores = np.array([other["score"] for other in others["detections"]])
    names = np.array([other["class"] for other in others["detections"]])
    for one in these["detections"]:
        near = (names == one["class"]) & (np.abs(boxes - one["box_xyxy"]).max(1, initial=0) < BOX_ATOL_PX)
        gap = np.abs(scores[near] - one["score"]).min(initial=1.0)
        if gap < 1e-3:
            gaps.append(gap)
        else:
            alone.append(one)
    return alone


def test_the_document_says_all(export: Any, workshop: Workshop, tmp_path: Path) -> None:
    done = export("--to", "onnx", "-o", tmp_path / "new" / "tiny.onnx", "--json")
    assert done.exit_code == 0, done.stderr
    jsonschema.validate(done.json, SCHEMA)
    document = done.json
    assert [entry["name"] for entry in document["classes"]] == CLASSES
    assert document["classes"][2]["synonyms"] == ["red blood cell", "erythrocyte"]
    assert document["weights"]["sha256"] == sha256_of(workshop.weights)
    assert document["files"] == {"tiny.onnx": sha256_of(tmp_path / "new" / "tiny.onnx")}
    assert document["parity"]["images"] == IMAGES
    assert 0 < document["parity"]["score_max"] < 1e-3 or document["parity"]["score_max"] == 0
    assert document["parity"]["counted_anchors"] > 100
    assert document["parity"]["map50_change"] == pytest.approx(0, abs=1e-3)
    beside = json.loads((tmp_path / "new" / "tiny.json").read_text(encoding="utf-8"))
    assert beside == {key: value for key, value in document.items() if key not in ("output", "bytes")}
    props = {prop.key: prop.value for prop in onnx.load(tmp_path / "new" / "tiny.onnx").metadata_props}
    inside = json.loads(props["medrov"])
    assert inside.pop("content_sha256")
    assert inside == {key: value for key, value in beside.items() if key != "files"}
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["tiny.json", "tiny.onnx"]


def test_a_person_sees_a_table(export: Any, tmp_path: Path) -> None:
    done = export("--to", "openvino", "--precision", "bf16", "-o", tmp_path / "ir")
    if "does not compute in bf16" in done.stderr:
        pytest.skip("this CPU has no bf16")
    assert done.exit_code == 0, done.stderr
    assert "eager, openvino, bf16" in done.stdout
    assert "mAP50" in done.stdout
    assert sorted(path.name for path in (tmp_path / "ir").iterdir()) == [
        "model.bin",
        "model.json",
        "model.xml",
    ]


@pytest.mark.parametrize(
    ("to", "settings"),
    [
        ("onnx", {}),
        ("openvino", {}),
        ("onnx", {"dynamic": True}),
        ("openvino", {"dynamic": True, "is_open": True}),
        ("onnx", {"is_open": True}),
    ],
    ids=str,
)
def test_detect_finds_what_it_finds_with_the_weights(
    medrov: Medrov, workshop: Workshop, images: Path, to: str, settings: dict[str, Any]
) -> None:
    made = workshop.export(to, **settings)
    engines = ["openvino"] if to == "openvino" else ["openvino", "onnx"]
    for engine in engines:
        for options in ((), ("--raw-scores", "--conf", 0.05)):
            found = detections(medrov, made.output, images, "--engine", engine, *options)
            expected = detections(medrov, workshop.weights, images, "--engine", engine, *options)
            assert_alike(found, expected)
            model, other = found[0]["model"], expected[0]["model"]
            (first,) = list(made.output.glob("*.xml")) if to == "openvino" else [made.output]
            assert model == {**other, "sha256": sha256_of(first)}


def test_benchmark_times_it_beside_the_weights(medrov: Medrov, workshop: Workshop, images: Path) -> None:
    made = workshop.export("openvino")
    options = (
        "--compare",
        f"openvino,{made.output}",
        "--images",
        2,
        "--rounds",
        1,
        "--device",
        "cpu",
        "--json",
    )
    done = medrov("benchmark", images, "--weights", workshop.weights, *options)
    assert done.exit_code == 0, done.stderr
    assert [row["name"] for row in done.json["runs"]] == ["openvino", made.output.name]
    assert all(row["end_to_end_images_per_s"]["median"] > 0 for row in done.json["runs"])


def test_a_model_of_any_size_runs_at_another(medrov: Medrov, workshop: Workshop, images: Path) -> None:
    made = workshop.export("onnx", dynamic=True)
    assert made.document["parity"]["other_imgsz"]["imgsz"] == IMGSZ - 32
    options = ("--imgsz", 128, "--conf", 0.02)
    found = detections(medrov, made.output, images, *options)
    assert_alike(found, detections(medrov, workshop.weights, images, *options))


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_suppression_inside_gives_what_detect_gives(
    medrov: Medrov, workshop: Workshop, images: Path, to: str
) -> None:
    made = workshop.export(to, nms=True, conf=0.05, iou=0.5)
    assert made.document["parity"]["nms"]["detections"] > 100
    assert made.document["nms"]["thresholds"] == pytest.approx(
        [0.1, 0.22, 0.22]
    )  # raw, of 0.05 as it is shown
    options = ("--conf", 0.05, "--iou", 0.5)
    found = detections(medrov, made.output, images, *options)
    assert_alike(found, detections(medrov, workshop.weights, images, *options))


@pytest.mark.parametrize(("opset", "ir"), [(None, 8), (13, 7), (17, 8), (18, 8), (21, 10)])
def test_operator_set_is_the_given_one(workshop: Workshop, opset: int | None, ir: int) -> None:
    """The oldest ONNX Runtime that knows an operator set knows the IR version that came with it."""
    settings: dict[str, Any] = {} if opset is None else {"opset": opset}
    made = workshop.export("onnx", nms=True, conf=0.05, iou=0.5, **settings)
    model = onnx.load(str(made.output))
    assert [(own.domain, own.version) for own in model.opset_import] == [("", opset or 17)]
    assert model.ir_version == ir
    onnx.checker.check_model(model, full_check=True)


def test_other_programs_get_padded_rows(workshop: Workshop) -> None:
    import onnxruntime

    made = workshop.export("onnx", nms=True, conf=0.05, iou=0.5)
    session = onnxruntime.InferenceSession(str(made.output), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).random((2, 3, IMGSZ, IMGSZ), dtype=np.float32)
    (rows,) = session.run(["detections"], {"images": np.stack([pixels[0], np.zeros_like(pixels[0])])})
    assert rows.shape == (2, 300, 6)
    assert (np.diff(rows[..., 4], axis=1) <= 0).all()
    (alone,) = session.run(["detections"], {"images": pixels[:1]})
    np.testing.assert_allclose(rows[0, :, :4], alone[0, :, :4], atol=BOX_ATOL_PX)
    np.testing.assert_allclose(rows[0, :, 4], alone[0, :, 4], atol=SCORE_ATOL)
    np.testing.assert_array_equal(rows[0, :, 5], alone[0, :, 5])


def test_classes_of_the_user_are_worked_in(medrov: Medrov, workshop: Workshop, images: Path) -> None:
    from medrov_cli.core.settings.values import parse_classes

    asked = "gall stone, polyp/colon polyp"
    made = workshop.export("openvino", classes=parse_classes(asked))
    options = ("--conf", 0.02)
    expected = detections(medrov, workshop.weights, images, "--classes", asked, *options)
    for more in ((), ("--classes", asked)):
        found = detections(medrov, made.output, images, *options, *more)
        assert_alike(found, expected)
        assert found[0]["model"]["vocabulary_sha256"] == expected[0]["model"]["vocabulary_sha256"]
    whole = detections(medrov, made.output, images, *options)
    for some, names in (
        ("gall stone", {"gall stone": "gall stone"}),
        ("colon polyp, Gall Stone", {"polyp/colon polyp": "colon polyp", "gall stone": "Gall Stone"}),
    ):
        found = detections(medrov, made.output, images, "--classes", some, *options)
        for own, other in zip(found, whole, strict=True):
            for there, here in names.items():  # equal scores are in the order of the classes
                kept = [item for item in other["detections"] if item["class"] == there]
                assert kept
                renamed = [{**item, "class": here} for item in kept]
                assert [item for item in own["detections"] if item["class"] == here] == renamed
            assert {item["class"] for item in own["detections"]} == set(names.values())
    for other, said in (
        ("liver", "does not contain 'liver'"),
        ("gall stone, polyp/liver", "does not contain 'polyp/liver'"),
        ("polyp, colon polyp", "one class of the model"),
    ):
        done = medrov("detect", images, "--weights", made.output, "--classes", other)
        assert (done.exit_code, said in " ".join(done.stderr.split())) == (2, True), done.stderr
    assert "--open" in medrov("detect", images, "-w", made.output, "-c", "liver").stderr


def test_an_open_model_takes_any_classes(medrov: Medrov, workshop: Workshop, images: Path) -> None:
    made = workshop.export("onnx", is_open=True)
    assert made.document["classes"] is None
    options = ("--classes", "gall stone, polyp/colon polyp, liver, spleen", "--conf", 0.02)
    found = detections(medrov, made.output, images, *options)
    assert_alike(found, detections(medrov, workshop.weights, images, *options))


@pytest.mark.parametrize("to", ["openvino", "onnx"])
def test_int8_states_its_loss(medrov: Medrov, workshop: Workshop, images: Path, to: str) -> None:
    made = workshop.export(to, "int8")
    parity = made.document["parity"]
    assert parity["score_max"] > 1e-3
    assert parity["score_mean"] < 0.2
    assert made.document["quantisation"]["images"] == IMAGES
    assert made.bytes < 0.6 * workshop.export(to).bytes
    found = detections(medrov, made.output, images, "--conf", 0.02)
    assert found[0]["model"]["engine"] == {"onnx": "onnxruntime", "openvino": "openvino"}[to] + "-cpu-int8"
    other = {"onnx": "openvino", "openvino": "onnx"}[to]
    done = medrov("detect", images, "--weights", made.output, "--engine", other)
    assert done.exit_code == 2
    assert f"--engine {other}" in done.stderr
    assert any(record["detections"] for record in found)
    done = medrov("detect", images, "--weights", made.output, "--precision", "bf16")
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("to", "precision"), [("onnx", "fp16"), ("openvino", "fp16"), ("torchscript", "fp32")]
)
def test_other_forms_pass_the_check(workshop: Workshop, to: str, precision: str) -> None:
    made = workshop.export(to, precision)
    parity = made.document["parity"]
    assert parity["score_mean"] < (0.02 if precision == "fp16" else SCORE_ATOL)
    if precision == "fp16":
        assert made.bytes < 0.6 * workshop.export(to).bytes


@pytest.mark.parametrize("is_open", [False, True])
def test_torchscript_carries_its_metadata(workshop: Workshop, is_open: bool) -> None:
    import torch

    made = workshop.export("torchscript", is_open=is_open)
    slots = {"medrov": ""}
    module = torch.jit.load(made.output, _extra_files=slots)
    assert json.loads(slots["medrov"])["schema"] == "medrov.export/1"
    text = torch.nn.functional.normalize(torch.ones(7, 512), dim=1)
    boxes, scores = module(torch.rand(3, 3, IMGSZ, IMGSZ), *((text,) if is_open else ()))
    assert boxes.shape[0] == scores.shape[0] == 3
    assert scores.shape[2] == (7 if is_open else len(CLASSES))
    assert str(ROOT).encode() not in made.output.read_bytes()


@pytest.mark.parametrize("is_open", [False, True])
def test_torch_export_carries_its_metadata(workshop: Workshop, is_open: bool) -> None:
    import torch

    made = workshop.export("torch_export", is_open=is_open)
    assert made.document["parity"]["engine"] == "torch-export-cpu"
    slots = {"medrov": ""}
    module = torch.export.load(made.output, extra_files=slots).module()
    assert json.loads(slots["medrov"])["schema"] == "medrov.export/1"
    text = torch.nn.functional.normalize(torch.ones(7, 512), dim=1)
    for batch in (1, 3):
        images = torch.rand(batch, 3, IMGSZ, IMGSZ)
        boxes, scores = module(images, *((text,) if is_open else ()))
        assert boxes.shape[0] == scores.shape[0] == batch
        assert scores.shape[2] == (7 if is_open else len(CLASSES))
    assert str(ROOT).encode() not in made.output.read_bytes()


def test_torchscript_names_its_successor(export: Any, tmp_path: Path) -> None:
    done = export("--to", "torchscript", "-o", tmp_path / "tiny.torchscript")
    assert done.exit_code == 0, done.stderr
    assert "deprecated" in done.stderr
    assert "--to torch_export" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("to", "precision"),
    [
        ("onnx", "fp32"),
        ("openvino", "fp32"),
        ("openvino", "int8"),
        ("torchscript", "fp32"),
        ("torch_export", "fp32"),
    ],
)
def test_equal_exports_have_equal_bytes(workshop: Workshop, to: str, precision: str) -> None:
    first = workshop.export(to, precision)
    second = workshop.export(to, precision, offline=True)
    assert first.output != second.output
    assert first.document["files"] == second.document["files"]


def test_what_does_not_answer_alike_is_not_written(
    export: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medrov_cli.core.exporting.formats import onnx_file

    right = onnx_file.plain_graph

    def wrong(subject: Any) -> onnx.ModelProto:
        model = right(subject)
        weights = next(one for one in model.graph.initializer if len(one.dims) == 4)
        values = onnx.numpy_helper.to_array(weights) * 1.05
        weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), weights.name))
        return model

    monkeypatch.setattr(onnx_file, "plain_graph", wrong)
    done = export("--to", "onnx", "-o", tmp_path / "new" / "tiny.onnx", "--json")
    assert done.exit_code == 1
    assert done.json["error"]["code"] == "parity_failed"
    assert "largest difference of a score" in done.json["error"]["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--to", "onnx", "--precision", "bf16"), "--precision bf16"),
        (("--to", "torchscript", "--nms"), "--nms"),
        (("--to", "torchscript", "--dynamic"), "--dynamic"),
        (("--to", "torch_export", "--nms"), "--nms"),
        (("--to", "onnx", "--open", "--classes", "liver"), "--open and --classes"),
        (("--to", "onnx", "--iou", "0.5"), "--iou needs --nms"),
        (("--to", "onnx", "--imgsz", "100"), "--imgsz 100"),
        (("--to", "onnx", "--images", "10"), "--images 10"),
        (("--to", "onnx", "-o", "model.xml"), "does not end in .onnx"),
        (("--to", "onnx", "--opset", "12"), "--opset 12 is not from 13 to 21"),
        (("--to", "onnx", "--opset", "99"), "default is 17"),
        (("--to", "openvino", "--opset", "17"), "--opset needs --to onnx"),
    ],
)
def test_contradictions_name_the_option(
    export: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = export(*options)
    assert done.exit_code == 2, done.stderr
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_replaced_only_if_told(export: Any, tmp_path: Path) -> None:
    target = tmp_path / "tiny.onnx"
    target.write_bytes(b"mine")
    assert export("--to", "onnx", "-o", target).exit_code == 2
    assert target.read_bytes() == b"mine"
    assert export("--to", "onnx", "-o", target, "--overwrite").exit_code == 0
    assert target.stat().st_size > 1e6


@pytest.mark.parametrize(("to", "name"), [("onnx", "tiny.onnx"), ("openvino", "tiny")])
def test_export_removes_what_a_killed_one_left(export: Any, tmp_path: Path, to: str, name: str) -> None:
    """It left its working folder, and was killed while it moved the files of a folder."""
    left = tmp_path / f".{name}.tmp" / "model.bin"
    left.parent.mkdir()
    left.write_bytes(b"half")
    if to == "openvino":
        (tmp_path / name).mkdir()
        for file in ("model.bin", "model.json", ".model.xml.0123abcd.tmp"):
            (tmp_path / name / file).write_bytes(b"half")
    assert export("--to", to, "-o", tmp_path / name).exit_code == 0
    assert {path.name for path in tmp_path.rglob("*")} == (
        {name, "tiny.json"} if to == "onnx" else {name, "model.bin", "model.json", "model.xml"}
    )


def test_export_to_an_output_that_another_process_writes_is_refused(export: Any, tmp_path: Path) -> None:
    with folder_beside(tmp_path / "tiny.onnx"):
        done = export("--to", "onnx", "-o", tmp_path / "tiny.onnx")
    assert done.exit_code == 2
    assert "another process is writing there" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "package"),
    [
        (("--precision", "int8", "--to", "onnx"), "nncf"),
        (("--to", "tensorrt"), "tensorrt"),
        (("--to", "coreml"), "coremltools"),
    ],
)
def test_a_missing_package_is_named(
    export: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    done = export(*options, "--json")
    assert done.exit_code == 2
    assert done.json["error"]["code"] == "dependency_missing"
    assert package in done.json["error"]["message"]
    assert "pip install" in done.json["error"]["hint"]


def test_detect_refuses_what_is_not_ours_or_damaged(
    medrov: Medrov, workshop: Workshop, images: Path, tmp_path: Path
) -> None:
    made = workshop.export("onnx")
    model = onnx.load(made.output)
    del model.metadata_props[:]
    (tmp_path / "foreign.onnx").write_bytes(model.SerializeToString())
    other = onnx.load(made.output)
    other.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(
            onnx.numpy_helper.to_array(other.graph.initializer[0]) * 2, other.graph.initializer[0].name
        )
    )
    (tmp_path / "changed.onnx").write_bytes(other.SerializeToString())
    (tmp_path / "cut.onnx").write_bytes(made.output.read_bytes()[:-100])
    (tmp_path / "empty").mkdir()
    ir = workshop.export("openvino").output
    (tmp_path / "ir").mkdir()
    (tmp_path / "ir" / "model.xml").write_bytes((ir / "model.xml").read_bytes())
    damaged = bytearray((ir / "model.bin").read_bytes())
    damaged[1000] ^= 1
    (tmp_path / "ir" / "model.bin").write_bytes(damaged)
    for name in ("foreign.onnx", "changed.onnx", "cut.onnx", "empty", "ir", "none.onnx"):
        done = medrov("detect", images, "--weights", tmp_path / name)
        assert done.exit_code == 5, (name, done.stderr)
        assert "hint:" in done.stderr


@pytest.mark.parametrize(
    ("to", "options"),
    [
        ("onnx", ("--engine", "torch")),
        ("onnx", ("--imgsz", 64)),
        ("onnx", ("--device", "cuda")),
        ("openvino", ("--engine", "onnx")),
        ("openvino", ("--classes", "liver")),
    ],
)
def test_detect_refuses_what_does_not_go_with_the_file(
    medrov: Medrov, workshop: Workshop, images: Path, to: str, options: tuple[object, ...]
) -> None:
    done = medrov("detect", images, "--weights", workshop.export(to).output, *options)
    assert done.exit_code == 2, done.stderr
    assert str(options[0]) in done.stderr


def test_detect_imports_no_torch_for_it(workshop: Workshop, images: Path) -> None:
    code = (
        "import sys; from medrov_cli import cli; code = cli.run(sys.argv[1:]);"
        "sys.exit(code or 10 * bool({'torch', 'nncf', 'ultralytics'} & set(sys.modules)))"
    )
    words = ["detect", str(images), "--weights", str(workshop.export("openvino").output)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_nothing_is_sent(workshop: Workshop, tmp_path: Path) -> None:
    code = (
        "import multiprocessing, os, socket, sys\n"
        "def refuse(*_, **__): os._exit(77)\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "multiprocessing.Process.start = os.fork = refuse\n"
        "from medrov_cli.core.engines.openvino_import import load_openvino, forbid_telemetry\n"
        "load_openvino()\n"
        "import nncf\n"
        "from nncf.telemetry import wrapper\n"
        "wrapper.telemetry.send_event('a', 'b', 'c')\n"
        "sys.exit('openvino_telemetry' in sys.modules and sys.modules['openvino_telemetry'] is not None)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("classes", "is_adapted"),
    [((), False), (("--classes", "polyp,lung nodule"), False), ((), True)],
    ids=["alone", "with texts", "adapted"],
)
def test_exported_model_has_learned_classes(
    classes: tuple[str, ...],
    is_adapted: bool,
    export: Any,
    medrov: Medrov,
    workshop: Workshop,
    images: Path,
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.safetensors"
    names = ["fracture", "polyp"]
    half = BoxMap((0.0, 0.0), (1.0, 1.0), (*(0.0,) * 10, -0.7, -0.7))
    write_random_classes(
        path, workshop.weights, names, vectors=2, scale=0.5, is_adapted=is_adapted, box_map=half
    )
    done = export("--to", "onnx", "-o", tmp_path / "m.onnx", "--learned", path, *classes, "--json")
    assert done.exit_code == 0, done.stderr
    expected = detections(medrov, workshop.weights, images, "--learned", path, *classes)
    found = detections(medrov, tmp_path / "m.onnx", images)
    for name in ("fracture", "polyp", "lung nodule")[: 3 if classes else 2]:
        scores = [
            sorted((own["score"] for own in record["detections"] if own["class"] == name), reverse=True)[:10]
            for records in (expected, found)
            for record in records
        ]
        assert any(scores), name
        for first, second in zip(scores[: len(expected)], scores[len(expected) :], strict=True):
            assert first == pytest.approx(second, abs=2e-3)
    widths = [
        [own["box_xyxy"][2] - own["box_xyxy"][0] for record in each for own in record["detections"]]
        for each in (expected, found)
    ]
    assert sum(widths[0]) / len(widths[0]) == pytest.approx(sum(widths[1]) / len(widths[1]), rel=0.05)


def test_learned_classes_do_not_fit_every_export(export: Any, workshop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_random_classes(path, workshop.weights, ["fracture"])
    for options in (("--to", "torchscript"), ("--to", "onnx", "--open")):
        done = export(*options, "--learned", path, "-o", tmp_path / "m")
        assert done.exit_code == 2
        assert "--learned" in done.stderr


def test_classes_with_an_adapter_are_exported_alone(export: Any, workshop: Workshop, tmp_path: Path) -> None:
    for name, is_adapted in (("a", True), ("b", True), ("c", False)):
        path = tmp_path / f"{name}.safetensors"
        write_random_classes(path, workshop.weights, [name], is_adapted=is_adapted)
    first = ("--to", "onnx", "-o", tmp_path / "m.onnx", "--learned", tmp_path / "a.safetensors")
    for others in (
        ("--classes", "polyp"),
        ("--learned", tmp_path / "b.safetensors"),
        ("--learned", tmp_path / "c.safetensors"),
    ):
        done = export(*first, *others)
        assert (done.exit_code, "network of their own" in done.stderr) == (2, True), done.stderr


def test_export_below_a_file_names_the_place(export: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = export("--to", "onnx", "-o", tmp_path / "file" / "tiny.onnx")
    assert done.exit_code == 1
    assert f"cannot write {tmp_path / 'file' / 'tiny.onnx'}" in done.stderr
