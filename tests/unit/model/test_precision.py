"""What the machine says of itself: number formats."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medrov_cli.core.base.processor import cpu_precision, multiplies_bf16_in_tiles
from medrov_cli.core.model.precision import choose_precision


@pytest.fixture(autouse=True)
def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("line", "name", "reason"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16", "bf16", "amx_bf16, avx512_bf16"),
        ("Features\t: asimd sve bf16", "bf16", "bf16"),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", "fp32", "no units for bf16"),
        ("flags\t\t: fpu avx2", "fp32", "no units for bf16"),
        ("model name\t: silent", "fp32", "does not report"),
    ],
)
def test_a_cpu_trains_in_the_format_that_it_computes_in(
    tmp_path: Path, line: str, name: str, reason: str
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    found = cpu_precision(tmp_path / "cpuinfo")
    assert found.name == name
    assert reason in found.reason


def test_a_limit_of_onednn_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("flags : avx2 avx512f avx512_bf16\n")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert cpu_precision(tmp_path / "cpuinfo").name == "fp32"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    assert cpu_precision(tmp_path / "cpuinfo").name == "bf16"


@pytest.mark.parametrize(
    ("flags", "limit", "is_able"),
    [
        ("avx512_bf16 amx_bf16", None, True),
        ("avx512_bf16 amx_bf16", "ALL", True),
        ("avx512_bf16 amx_bf16", "avx512_core_amx", True),
        ("avx512_bf16 amx_bf16", "AVX512_CORE_BF16", False),
        ("avx512_bf16 amx_int8", None, False),
    ],
)
def test_tiles_of_bf16_are_known(
    flags: str, limit: str | None, is_able: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags : avx2 {flags}\n")
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    if limit is None:
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    else:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert multiplies_bf16_in_tiles(tmp_path / "cpuinfo") is is_able


def test_what_is_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_precision("bf16", "cpu").name == "bf16"
    assert choose_precision("auto", "cpu") == cpu_precision()


@pytest.mark.parametrize(("computes", "name"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_is_asked(monkeypatch: pytest.MonkeyPatch, computes: bool, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Made-up GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: computes)
    found = choose_precision("auto", "auto")
    assert found.name == name
    assert "Made-up GPU" in found.reason
    assert choose_precision("auto", "cpu") == cpu_precision()
