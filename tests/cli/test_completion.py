"""Completion of a shell: the values of options, in real shells, without heavy imports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from detect_fixtures import VOCABULARY, write_eager_detector
from medrov_cli.commands.completion import COMPLETIONS, completion_of
from medrov_cli.commands.signature import parameters
from medrov_cli.core.settings.benchmark import BenchmarkSettings
from medrov_cli.core.settings.choices import OUTPUT_FORMATS
from medrov_cli.core.settings.data import PhantomSettings
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.presets import preset_names
from medrov_cli.core.settings.train import TrainSettings

PROGRAM = Path(sys.executable).with_name("medrov")
HEAVY = {"numpy", "torch", "cv2", "pydicom", "safetensors", "pydantic_core"}


def complete(*words: str, shell: str = "bash") -> list[str]:
    """Return the completions of the last word, as a script of bash asks for them."""
    facts = {"COMP_WORDS": "\n".join(("medrov", *words)), "COMP_CWORD": str(len(words))}
    environment = os.environ | {"_MEDROV_COMPLETE": f"complete_{shell}"} | facts
    command = [sys.executable, "-m", "medrov_cli"]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def test_classes_are_those_of_the_default_weights_and_follow_commas() -> None:
    assert "lung\\ nodule" in complete("detect", "x.dcm", "--classes", "lu")
    assert complete("detect", "x.dcm", "-c", "'liver,lung nod") == ["liver,lung nodule"]


def test_classes_of_other_weights(tmp_path: Path) -> None:
    weights = write_eager_detector(tmp_path / "eager.safetensors")
    found = complete("detect", "x.dcm", "--weights", str(weights), "--classes", '"')
    assert found == [entry.name for entry in VOCABULARY]
    assert complete("detect", "x.dcm", "--weights", str(tmp_path / "none"), "--classes", "") == []
    (tmp_path / "torn").write_bytes(weights.read_bytes()[:20])
    assert complete("detect", "x.dcm", "--weights", str(tmp_path / "torn"), "--classes", "") == []


def test_other_values_and_names() -> None:
    assert complete("detect", "x.dcm", "--format", "csv,js") == ["csv,jsonl", "csv,json"]
    assert complete("detect", "x.dcm", "--weights", "med") == ["medrov-n"]
    assert complete("detect", "x.dcm", "--device", "c") == ["cpu", "cuda"]
    assert complete("detect", "x.dcm", "--eng") == ["--engine"]
    assert complete("data", "export", "x", "--to", "c") == ["coco", "cvat"]
    assert complete("train", "x.yaml", "--preset", "") == list(preset_names())
    assert complete("pseudo") == ["pseudolabel"]


def test_each_completion_has_an_option() -> None:
    flags = {flag for item in parameters(DetectSettings) for flag in item.spec.flags}
    assert set(COMPLETIONS) - flags == {"--preset"}
    assert "--preset" in {flag for item in parameters(TrainSettings) for flag in item.spec.flags}
    (form,) = (item for item in parameters(DetectSettings) if "--format" in item.spec.flags)
    assert completion_of(form.spec, form.given_type)(None, [], "") == list(OUTPUT_FORMATS)
    (number,) = (item for item in parameters(BenchmarkSettings) if "--classes" in item.spec.flags)
    assert completion_of(number.spec, number.given_type) is None  # a number of classes
    (phantom,) = (item for item in parameters(PhantomSettings) if "--format" in item.spec.flags)
    assert completion_of(phantom.spec, phantom.given_type) is None  # formats of its own


def test_completion_imports_nothing_heavy() -> None:
    code = (
        "import json, sys\nfrom medrov_cli import cli\ncli.run([])\n"
        "sys.stderr.write(json.dumps(sorted(name for name, own in sys.modules.items() if own)))"
    )
    facts = {
        "COMP_WORDS": "medrov\ndetect\nx\n--classes\nlung",
        "COMP_CWORD": "4",
        "_MEDROV_COMPLETE": "complete_bash",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | facts,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout
    assert not HEAVY & set(json.loads(done.stderr))


@pytest.mark.skipif(shutil.which("bash") is None or not PROGRAM.exists(), reason="no bash, or no program")
def test_bash_completes_after_the_installation(tmp_path: Path) -> None:
    home = os.environ | {"HOME": str(tmp_path), "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    script = """
        medrov --install-completion bash > /dev/null || exit 1
        source "$HOME/.bash_completions/medrov.sh"
        COMP_WORDS=(medrov detect x.dcm --classes 'lung n') COMP_CWORD=4
        _medrov_completion medrov
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script], env=home, capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ".bash_completions/medrov.sh" in (tmp_path / ".bashrc").read_text()
    assert "lung\\ nodule" in done.stdout.splitlines()


def in_shell(shell: str, script: str, home: Path) -> list[str]:
    """Install completion from a shell, and return the lines that a script prints in it."""
    environment = os.environ | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
    }
    fails = "; or" if shell == "fish" else " ||"
    install = f"medrov --install-completion >/dev/null{fails} exit 1"
    for command in (f"{install}\ntrue", script):
        done = subprocess.run(
            [shell, "-c", command], env=environment, capture_output=True, encoding="utf-8", check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("fish") is None or not PROGRAM.exists(), reason="no fish, or no program")
def test_fish_completes_after_the_installation(tmp_path: Path) -> None:
    script = """
        complete -C 'medrov detect x.dcm --weights med'
        complete -C 'medrov detect x.dcm --classes "lung n'
    """
    assert in_shell("fish", script, tmp_path) == ["medrov-n", "lung nodule"]


@pytest.mark.skipif(shutil.which("zsh") is None or not PROGRAM.exists(), reason="no zsh, or no program")
def test_zsh_completes_after_the_installation(tmp_path: Path) -> None:
    script = """
        compdef() { : }
        _arguments() { print -rl -- "$@" }
        source ~/.zfunc/_medrov
        words=(medrov detect x.dcm --weights med) CURRENT=5
        _medrov_completion
        words=(medrov detect x.dcm --device c)
        _medrov_completion
    """
    found = "\n".join(in_shell("zsh", script, tmp_path))
    assert all(f'"{name}"' in found for name in ("medrov-n", "cpu", "cuda")), found
