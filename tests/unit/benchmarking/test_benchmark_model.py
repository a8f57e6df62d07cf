"""What is timed, and on what: machine, meters, images, classes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.benchmarking.benchmark_model import synthetic_classes
from medrov_cli.core.benchmarking.images import repeat_to_length, write_phantoms
from medrov_cli.core.benchmarking.machine_description import describe_machine
from medrov_cli.core.benchmarking.meters import EnergyMeter
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.settings.choices import EngineName, Modality, Precision
from medrov_cli.core.settings.values import Variant

CPUINFO = """processor\t: 0
model name\t: Made-up CPU 3000
flags\t\t: fpu sse2 avx2 avx512f avx512_bf16 amx_int8
processor\t: 1
model name\t: Another one
flags\t\t: fpu
"""


def test_the_machine_is_described_without_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    file = tmp_path / "cpuinfo"
    file.write_text(CPUINFO)
    machine = describe_machine(file)
    assert machine["cpu"] == "Made-up CPU 3000"
    assert machine["cpu_flags"] == ["avx2", "avx512f", "avx512_bf16", "amx_int8"]
    assert machine["train_precision"]["name"] == "bf16"
    assert "avx512_bf16" in machine["train_precision"]["reason"]
    assert machine["versions"]["numpy"] == np.__version__
    absent = describe_machine(tmp_path / "none")
    assert absent["cpu"]
    assert absent["cpu_flags"] == []
    assert absent["train_precision"]["name"] == "fp32"


def write_package(folder: Path, name: str, energy_uj: int) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / name / "max_energy_range_uj").write_text("10000000\n")


def test_energy_is_that_of_the_packages(tmp_path: Path) -> None:
    write_package(tmp_path, "intel-rapl:0", 1_000_000)
    write_package(tmp_path, "intel-rapl:1", 9_000_000)
    write_package(tmp_path, "intel-rapl:0:0", 0)  # a part of the first, which is counted there
    meter = EnergyMeter(powercap=tmp_path)
    before = meter.read()
    assert len(before) == 2
    write_package(tmp_path, "intel-rapl:0", 3_500_000)
    write_package(tmp_path, "intel-rapl:1", 500_000)  # began again at 10 J
    write_package(tmp_path, "intel-rapl:0:0", 777_000)
    assert meter.joules(before, meter.read()) == 2.5 + 1.5


def test_a_machine_may_not_tell_its_energy(tmp_path: Path) -> None:
    meter = EnergyMeter(powercap=tmp_path / "none")
    assert meter.read() == {}
    assert meter.joules({}, {}) is None


MEMORY = """
import numpy as np
from medrov_cli.core.benchmarking.meters import peak_resident_mb, resident_mb
before = resident_mb()
block = np.ones(100 * 1024**2, dtype=np.uint8)
held = resident_mb()
print(before, held, peak_resident_mb(), block.sum() == len(block))
"""
"""In a new process: the system may take pages from a large one at any time."""


def test_memory_of_this_process() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    before, held, peak, is_whole = done.stdout.split()
    assert 90 < float(held) - float(before) < 120
    assert float(peak) >= float(held) - 1
    assert is_whole == "True"


@pytest.mark.slow
def test_phantoms_are_of_all_modalities_and_the_same_every_time(tmp_path: Path) -> None:
    paths = write_phantoms(tmp_path / "a", 9, raster=False, advance=lambda *_: None)
    assert [Path(path).suffix for path in paths] == [".dcm", *[".png"] * 8]
    (frame,) = read_frames(paths[0])
    assert frame.modality is Modality.CT
    again = write_phantoms(tmp_path / "b", 2, raster=False, advance=lambda *_: None)
    assert [Path(path).read_bytes() for path in again] == [Path(path).read_bytes() for path in paths[:2]]
    (picture,) = write_phantoms(tmp_path / "c", 1, raster=True, advance=lambda *_: None)
    assert Path(picture).suffix == ".png"


def test_files_are_taken_again() -> None:
    assert [item.path for item in repeat_to_length(["a", "b"], 5)] == ["a", "b", "a", "b", "a"]


def test_made_up_classes_are_units_and_always_the_same() -> None:
    classes = synthetic_classes(300)
    assert classes.embeddings.shape == (300, 512)
    assert classes.embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(classes.embeddings, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(classes.embeddings, synthetic_classes(300).embeddings)
    likeness = classes.embeddings @ classes.embeddings.T - np.eye(300)
    assert 0.1 < likeness.mean() < 0.7
    assert len(set(classes.names)) == 300


@pytest.mark.parametrize("text", ["openvino-bf16", "torch", "onnx", "auto", "openvino"])
def test_engines_are_named_as_they_are_shown(text: str) -> None:
    assert str(Variant.parse(f" {text.upper()} ")) == text


@pytest.mark.parametrize("text", ["model.onnx", "some/folder/model.xml"])
def test_an_exported_model_is_named_by_its_file(text: str) -> None:
    variant = Variant.parse(text)
    assert (variant.exported, str(variant)) == (Path(text), Path(text).name)


def test_fp32_need_not_be_named() -> None:
    assert Variant.parse("torch-fp32") == Variant(EngineName.TORCH, Precision.FP32)


@pytest.mark.parametrize("text", ["", "tensorflow", "torch-fp7", "bf16"])
def test_an_unknown_engine_is_refused(text: str) -> None:
    with pytest.raises(MedrovError, match="--compare") as caught:
        Variant.parse(text)
    assert caught.value.code is ErrorCode.USAGE
