"""Traps in `.pt` files: refused with exit code 5, and nothing of them happens."""

from __future__ import annotations

import copy
import io
import os
import pickle
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.model.importing.archive import TorchArchive
from medrov_cli.core.model.importing.importer import import_ultralytics_checkpoint
from medrov_cli.core.model.importing.stubs import Record
from medrov_cli.core.model.importing.unpickler import MAX_OPCODES, read_pickle


class Call:
    """An object whose pickle calls something."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function = function
        self.arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def archive(path: Path, program: bytes, **members: bytes) -> Path:
    """Write a zip archive in the form of torch.save."""
    with zipfile.ZipFile(path, "w") as target:
        for name, content in {
            "data.pkl": program,
            "byteorder": b"little",
            "version": b"3\n",
            **members,
        }.items():
            target.writestr(f"checkpoint/{name}", content)
    return path


def refused(path: Path) -> MedrovError:
    """Return the error with which a file is refused."""
    with pytest.raises(MedrovError) as caught:
        import_ultralytics_checkpoint(path)
    assert caught.value.exit_code == ExitCode.WEIGHTS
    return caught.value


def system(command: str) -> Call:
    return Call(os.system, command)


TRAPS: dict[str, Callable[[str], Any]] = {
    "os.system": system,
    "exec": lambda command: Call(exec, f"import os; os.system({command!r})"),
    "eval": lambda command: Call(eval, f"__import__('os').system({command!r})"),
    "subprocess": lambda command: Call(subprocess.getoutput, command),
    "nested pickle": lambda command: Call(pickle.loads, pickle.dumps(system(command))),
    "in a dict of a module": lambda command: {"ema": torch.nn.Sequential(), "train_args": [system(command)]},
    "lazy call in a list": lambda command: Call(list, Call(map, os.system, [command])),
    "numpy object array": lambda command: np.array([system(command)], dtype=object),
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("trap", TRAPS)
def test_traps_are_refused(trap: str, protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    program = pickle.dumps(TRAPS[trap](f"touch '{canary}'"), protocol=protocol)
    pickle.loads(program)
    assert canary.exists()  # the trap is a real one
    canary.unlink()
    error = refused(archive(tmp_path / "trap.pt", program))
    assert error.code == ErrorCode.WEIGHTS_UNTRUSTED
    assert "no code was run" in error.message
    assert not canary.exists()


def test_getattr_chain_is_refused(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    # getattr(__import__("os"), "system")("touch canary"): a call of what a call returned.
    function = pickle.dumps(Call(getattr, Call(__import__, "os"), "system"), protocol=2).removesuffix(b".")
    command = f"touch {canary}".encode()
    program = function + b"X" + struct.pack("<I", len(command)) + command + b"\x85R."
    assert pickle.loads(program) == 0
    assert canary.exists()
    canary.unlink()
    assert "requests" in refused(archive(tmp_path / "trap.pt", program)).message
    assert not canary.exists()


def test_torch_load_inside_is_refused(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    inner = io.BytesIO()
    torch.save(system(f"touch '{canary}'"), inner)
    program = pickle.dumps(Call(torch.load, Call(io.BytesIO, inner.getvalue())), protocol=2)
    assert "requests" in refused(archive(tmp_path / "trap.pt", program)).message
    assert not canary.exists()


@pytest.mark.parametrize(
    "program",
    {
        "old-style instance": b"(S'true'\nios\nsystem\n.",
        "object on the stack": b"\x80\x02(cos\nsystem\nX\x04\x00\x00\x00trueo.",
        "extension registry": b"\x80\x02\x82\x01.",
        "text persistent id": b"Pstorage\n.",
        "call of a value": b"\x80\x02X\x01\x00\x00\x00x)R.",
        "call of a storage type": b"\x80\x02ctorch\nFloatStorage\n)R.",
        "state of a class": b"\x80\x02ctorch.nn.modules.container\nSequential\n}b.",
        "state of a text": b"\x80\x02X\x01\x00\x00\x00x}b.",
        "function of a known module": b"\x80\x02cultralytics.utils.checks\ncheck_requirements\n)R.",
        "function of a known package": b"\x80\x02ctimm.models._hub\nload_state_dict_from_hf\n)R.",
        "attribute of a known class": b"\x80\x04\x8c\x1atorch.nn.modules.container"
        b"\x8c\x13Sequential.__init__\x93.",
        "unknown kind of data": b"\x80\x02(X\x04\x00\x00\x00filectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.",
        "numpy array": b"\x80\x02cnumpy._core.multiarray\n_reconstruct\n)R.",
    }.values(),
)
def test_opcodes_that_torch_does_not_write_are_refused(program: bytes) -> None:
    with pytest.raises(MedrovError) as caught:
        read_pickle(program, where="x.pt")
    assert caught.value.code == ErrorCode.WEIGHTS_UNTRUSTED


def test_state_with_magic_names_stays_data() -> None:
    program = (
        b"\x80\x02ctorch.nn.modules.container\nSequential\n)\x81}"
        b"X\x0c\x00\x00\x00__setstate__ctorch.nn.modules.container\nSequential\ns"
        b"X\x09\x00\x00\x00__class__K\x01sb}X\x01\x00\x00\x00aK\x02sb."
    )
    record = read_pickle(program, where="x.pt")
    assert isinstance(record, Record)  # a second state replaces the first; no method was looked up
    assert record.state == {"a": 2}


def test_huge_numbers_cost_nothing() -> None:
    for program in (
        b"\x80\x02Nr\xff\xff\xff\xff.",  # memo index 2**32 - 1
        b"\x80\x02X\xff\xff\xff\x7fab.",  # a text of 2 GB, of which 3 bytes are there
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fab.",
        b"\x80\x02\x8b\xff\xff\xff\x7f\x00.",
    ):
        try:
            assert read_pickle(program, where="x.pt") is None
        except MedrovError as error:
            assert error.code == ErrorCode.WEIGHTS_CORRUPT  # noqa: PT017


SHARED_TWICE = b"\x80\x02)q\x00" + b"".join(
    b"h%bh%b\x86q%b" % (bytes([index]), bytes([index]), bytes([index + 1])) for index in range(200)
)
"""A tuple of 2**200 empty ones, each level of which is the one below it, twice."""


@pytest.mark.parametrize(
    "program",
    {
        "key of a dict": SHARED_TWICE + b"}h\xc8K\x01s.",
        "key among others": SHARED_TWICE + b"}(K\x00K\x01h\xc8K\x02u.",
        "member of a set": b"\x80\x04" + SHARED_TWICE[2:] + b"\x8f(h\xc8\x90.",
        "key of an ordered dict": SHARED_TWICE + b"ccollections\nOrderedDict\n)Rh\xc8K\x01s.",
        "argument of an ordered dict": SHARED_TWICE + b"ccollections\nOrderedDict\n]h\xc8K\x01\x86a\x85R.",
    }.values(),
)
def test_a_key_that_takes_for_ever_to_hash_is_refused(program: bytes) -> None:
    with pytest.raises(MedrovError) as caught:
        read_pickle(program, where="x.pt")
    assert caught.value.code == ErrorCode.WEIGHTS_CORRUPT


@pytest.mark.parametrize(
    "program",
    {
        "function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x08\x00\x00\x00__code__K\x01sb.",
        "attribute of a class": b"\x80\x02ctorch.nn.modules.container\nSequential\n"
        b"N}X\x0c\x00\x00\x00__setstate__K\x01s\x86b.",
        "storage": b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQN}X\x03\x00\x00\x00keyK\x01s\x86b.",
    }.values(),
)
def test_the_state_of_a_stand_in_cannot_be_set(program: bytes) -> None:
    with pytest.raises(MedrovError, match="sets the state of something that is not an object") as caught:
        read_pickle(program, where="x.pt")
    assert caught.value.code == ErrorCode.WEIGHTS_UNTRUSTED


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"\x80\x02" + b"(" * 1100 + b"t" * 1100 + b".", "open containers"),
        (b"\x80\x02(" + b"N" * 20_000 + b"t.", "a tuple of 20000 items"),
        (
            b"\x80\x02" + b"".join(b"ctorch.nn.modules.x\nA%d\n0" % number for number in range(1100)) + b"N.",
            "more than 1000 names",
        ),
    ],
)
def test_programs_over_the_limits_are_refused(program: bytes, message: str) -> None:
    with pytest.raises(MedrovError, match=message) as caught:
        read_pickle(program, where="x.pt")
    assert caught.value.code == ErrorCode.WEIGHTS_UNTRUSTED


def test_endless_program_is_refused() -> None:
    with pytest.raises(MedrovError, match="operations"):
        read_pickle(b"\x80\x02" + b"N" * (MAX_OPCODES + 10) + b".", where="x.pt")


VIEW_OF_16_BYTES = (
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
)


@pytest.mark.parametrize(
    "view",
    {
        "offset behind the end": b"K\x02(K\x03t(K\x01t",
        "stride over the end": b"K\x00(K\x02K\x02t(K\x04K\x01t",
        "repeated for ever": b"K\x00(J\x00\x00\x00\x7ft(K\x00t",
        "empty": b"K\x00(K\x00t(K\x01t",
        "negative stride": b"K\x03(K\x03t(J\xff\xff\xff\xfft",
        "number too large": b"K\x00(\x8a\x0a" + b"\x7f" * 10 + b"t(K\x01t",
        "not numbers": b"K\x00(Nt(K\x01t",
        "more sizes than strides": b"K\x00(K\x01K\x01t(K\x01t",
    }.values(),
)
def test_views_outside_their_storage_are_refused(view: bytes, tmp_path: Path) -> None:
    program = VIEW_OF_16_BYTES + view + b"\x89NtR."
    path = archive(tmp_path / "x.pt", program, **{"data/0": bytes(16)})
    with pytest.raises(MedrovError) as caught, TorchArchive(path, InputLimits()) as opened:
        opened.tensor(opened.content())
    assert caught.value.code == ErrorCode.WEIGHTS_CORRUPT


def test_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("x/data.pkl", pickle.dumps({}, protocol=2))
        target.writestr("x/data/0", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    assert "compressed" in refused(path).message


def test_members_over_the_same_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("x/data.pkl", pickle.dumps({}, protocol=2))
        target.writestr("x/data/0", bytes(100_000))
        for index in range(1, 20):
            twin = copy.copy(target.getinfo("x/data/0"))
            twin.filename = f"x/data/{index}"
            target.filelist.append(twin)
    assert "unpacks to more" in refused(path).message


def test_too_many_members_and_twins_are_refused(tmp_path: Path) -> None:
    many = archive(tmp_path / "many.pt", b"N.", **{f"data/{index}": b"" for index in range(10_001)})
    assert "archive members" in refused(many).message
    with zipfile.ZipFile(tmp_path / "twin.pt", "w") as target:
        target.writestr("x/data.pkl", b"N.")
        with pytest.warns(UserWarning, match="Duplicate"):
            target.writestr("x/data.pkl", b"N.")
    assert "one name" in refused(tmp_path / "twin.pt").message


def test_reading_one_storage_a_thousand_times_is_refused(tmp_path: Path) -> None:
    storage = torch.zeros(100_000)
    model = torch.nn.Module()
    model.model = torch.nn.Sequential(torch.nn.Module(), torch.nn.Module())
    for index in range(50):
        model.model[0].register_buffer(f"b{index}", storage[index:])
    torch.save({"model": model}, tmp_path / "plain.pt")
    # Give the last layer the class name that the importer looks for.
    with zipfile.ZipFile(tmp_path / "plain.pt") as source:
        members = {name.split("/", 1)[1]: source.read(name) for name in source.namelist()}
    program = members.pop("data.pkl")
    layer = b"ctorch.nn.modules.module\nModule\n"
    assert program.count(layer) == 1
    world = layer.replace(b"torch.nn.modules.module\nModule", b"ultralytics.nn.modules.head\nWorldDetect")
    path = archive(tmp_path / "x.pt", program.replace(layer, world), **members)
    assert "reads the same bytes repeatedly" in refused(path).message


def foreign_files() -> dict[str, bytes]:
    legacy, script, arrays = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"model": torch.nn.Linear(2, 2)}, legacy, _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), script)
    np.savez(arrays, a=np.zeros(3))
    return {
        "nothing": b"",
        "garbage": bytes(range(256)) * 9,
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(99),
        "before torch 1.6": legacy.getvalue(),
        "TorchScript": script.getvalue(),
        "numpy arrays": arrays.getvalue(),
        "start of a zip": b"PK\x03\x04" + bytes(99),
    }


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nothing", "no zip archive"),
        ("garbage", "no zip archive"),
        ("a picture", "no zip archive"),
        ("before torch 1.6", "before version 1.6"),
        ("TorchScript", "TorchScript program"),
        ("numpy arrays", "not a torch checkpoint"),
        ("start of a zip", "damaged archive"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_foreign_files_are_refused_by_kind(kind: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(foreign_files()[kind])
    assert message in refused(tmp_path / "x.pt").message


@settings(max_examples=300)
@given(program=st.binary(max_size=60))
def test_random_programs_raise_our_error_only(program: bytes) -> None:
    try:
        read_pickle(b"\x80\x02" + program + b".", where="x.pt")
    except MedrovError as error:
        assert error.exit_code == ExitCode.WEIGHTS  # noqa: PT017


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # in pickletools
@settings(max_examples=300)
@given(place=st.integers(0), value=st.integers(0, 255))
def test_flipped_programs_raise_our_error_only(place: int, value: int) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.nn.Conv2d(2, 2, 1), "b": (1, 2.5, "x", None, {3: [True]})}, buffer)
    with zipfile.ZipFile(buffer) as source:
        program = bytearray(source.read("archive/data.pkl"))
    program[place % len(program)] = value
    try:
        read_pickle(bytes(program), where="x.pt")
    except MedrovError as error:
        assert error.exit_code == ExitCode.WEIGHTS  # noqa: PT017
