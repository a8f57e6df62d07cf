"""What every command has in common: how failures end, what goes to which stream, ``--version``."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from conftest import Medrov
from medrov_cli import __version__, cli
from medrov_cli.core.base.errors import INPUT_ERRORS, ErrorCode, ExitCode, MedrovError

EXIT_CODES = {
    **dict.fromkeys(INPUT_ERRORS, 4),
    ErrorCode.USAGE: 2,
    ErrorCode.NO_INPUT: 4,
    ErrorCode.DATASET_INVALID: 4,
    ErrorCode.PREDICTIONS_INVALID: 4,
    ErrorCode.WEIGHTS_MISSING: 5,
    ErrorCode.WEIGHTS_CORRUPT: 5,
    ErrorCode.WEIGHTS_UNTRUSTED: 5,
    ErrorCode.ENCODER_MISSING: 5,
    ErrorCode.NETWORK_FORBIDDEN: 5,
    ErrorCode.DEPENDENCY_MISSING: 2,
    ErrorCode.NON_FINITE_LOSS: 1,
    ErrorCode.PARITY_FAILED: 1,
    ErrorCode.OUT_OF_MEMORY: 1,
    ErrorCode.OUTPUT_FAILED: 1,
    ErrorCode.TRANSFER_FAILED: 1,
    ErrorCode.INTERNAL: 1,
}


class Failing:
    """A command line whose one command fails as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: BaseException = RuntimeError("not told")
        app = typer.Typer()
        app.command("fail")(self._fail)
        app.callback()(lambda: None)
        monkeypatch.setattr(cli, "make_app", lambda *_: app)

    def _fail(self, paths: list[str] | None = None, as_json: bool = typer.Option(False, "--json")) -> None:
        raise self.error


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    return Failing(monkeypatch)


def test_version(medrov: Medrov) -> None:
    done = medrov("--version")
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"medrov {__version__}\n", "")


def test_without_arguments_the_help_is_printed(medrov: Medrov) -> None:
    assert medrov().exit_code == 0
    assert medrov().stdout.rstrip() == medrov("--help").stdout.rstrip()


def test_a_group_without_a_command_prints_its_help(medrov: Medrov) -> None:
    done = medrov("weights")
    assert done.exit_code == 2
    assert "Usage: medrov weights" in done.stdout
    assert "error" not in done.stderr


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_has_its_exit_code_and_both_forms(
    code: ErrorCode, failing: Failing, medrov: Medrov
) -> None:
    failing.error = MedrovError(code, "what [bold]failed[/]", "what to do")

    human = medrov("fail")
    assert human.exit_code == EXIT_CODES[code]
    assert (human.stdout, human.stderr) == ("", "error: what [bold]failed[/]\nhint: what to do\n")

    machine = medrov("fail", "--json")
    assert machine.exit_code == EXIT_CODES[code]
    assert machine.stderr == human.stderr
    assert machine.json == {
        "schema": "medrov.error/1",
        "error": {"code": code.value, "message": "what [bold]failed[/]", "hint": "what to do"},
    }


def test_a_file_named_like_the_option_is_no_wish_for_json(failing: Failing, medrov: Medrov) -> None:
    failing.error = MedrovError(ErrorCode.NO_INPUT, "none")
    assert medrov("fail", "--", "--json").stdout == ""


@pytest.mark.parametrize("code", [ExitCode.PARTIAL, ExitCode.NO_INPUT])
def test_a_command_may_end_with_a_code_of_its_own(code: ExitCode, failing: Failing, medrov: Medrov) -> None:
    failing.error = typer.Exit(code)
    done = medrov("fail", "--json")
    assert (done.exit_code, done.stdout, done.stderr) == (int(code), "", "")


def test_interrupted(failing: Failing, medrov: Medrov) -> None:
    failing.error = KeyboardInterrupt()
    done = medrov("fail")
    assert done.exit_code == 130
    assert (
        done.stderr == "interrupted; files that were written are complete, and --resume continues the run\n"
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "output_failed"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "output_failed"),
        (ValueError("patient DOE^JOHN"), "internal"),
        (OSError(errno.EIO, "DOE^JOHN.dcm"), "internal"),
    ],
)
def test_foreign_errors_become_ours_without_quoting_the_input(
    error: Exception, code: str, failing: Failing, medrov: Medrov
) -> None:
    failing.error = error
    done = medrov("fail", "--json")
    assert done.exit_code == 1
    assert done.json["error"]["code"] == code
    assert done.json["error"]["hint"]
    assert "DOE" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_debugging_prints_the_traceback(
    failing: Failing, medrov: Medrov, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDROV_DEBUG", "1")
    failing.error = ValueError("the reason")
    done = medrov("fail")
    assert "Traceback" in done.stderr
    assert "ValueError: the reason" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nonsense"], "nonsense"),
        (["--nonsense"], "--nonsense"),
        (["train", "--epochs", "three", "data.yaml", "-o", "run"], "--epochs"),
        (["train", "data.yaml"], "--output"),
        (["weights", "show"], ""),
    ],
)
def test_usage_errors_name_the_option(arguments: list[str], named: str, medrov: Medrov) -> None:
    done = medrov(*arguments)
    assert done.exit_code == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_usage_errors_say_where_the_help_is(medrov: Medrov) -> None:
    assert "hint: See 'medrov train --help'." in medrov("train", "data.yaml").stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("detect", "a.png", "-o", ""), "--output is empty"),
        (("detect", "a.png", "--learned", ""), "--learned is empty"),
        (("eval", "data.yaml", "--fit", ""), "--fit is empty"),
        (("data", "merge", "", "--output", "out"), "SOURCE_DIR... is empty"),
        (("train", "", "--output", "out"), "DATASET is empty"),
        (("detect", "a.png", "--weights", ""), "--weights is empty"),
        (("pseudolabel", "apply", "d.json", "--labels", "", "-o", "out"), "--labels is empty"),
        (("weights", "prepare", "--cache", ""), "--cache is empty"),
    ],
)
def test_an_empty_path_is_not_the_working_folder(
    medrov: Medrov, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = medrov(*arguments)
    assert (done.exit_code, named in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.iterdir())


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "medrov_cli", *arguments]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["weights", "list", "--json"]])
def test_a_reader_that_has_enough_is_no_failure(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            command(*arguments), stdout=pipe, stderr=subprocess.PIPE, encoding="utf-8", check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("--version"), stdout=full, stderr=subprocess.PIPE, encoding="utf-8", check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write: No space left on device\n")


def test_closed_streams_are_no_failure() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -m medrov_cli --version >&- 2>&-', sys.executable], check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_program_with_its_code(number: signal.Signals, code: int, tmp_path: Path) -> None:
    script = tmp_path / "waiting.py"
    script.write_text(
        "import sys, time, typer\n"
        "from medrov_cli import cli\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def wait() -> None:\n"
        "    print('waiting', flush=True)\n"
        "    time.sleep(60)\n"
        "cli.make_app = lambda *words: app\n"
        "cli.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (
        code,
        "interrupted; files that were written are complete, and --resume continues the run\n",
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_program_is_imported_ends_it(number: signal.Signals, code: int) -> None:
    script = (
        "import os, sys\n"
        "from medrov_cli.__main__ import main\n"
        "class Signalling:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'typer':\n"
        f"            os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Signalling())\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--version"], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
