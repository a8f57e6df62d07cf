"""Reader of pickles that does not execute them.

A pickle is a program that names functions and calls them. It is written by hand because torch's restricted
reader refuses the classes of a complete pickled model. It has two steps. A scan by ``pickletools`` follows
the operations without values: a closed list, limits of length, depth and memo, plain keys, no extension
codes. Then a ``pickle.Unpickler`` builds dicts, lists, tuples, numbers, texts and the inert values of
``stubs.py``. A name that is not on the list in ``stubs.py`` ends the reading with ``weights_untrusted``, so
that malicious code is reported, not skipped.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.model.importing.stubs import (
    STATELESS,
    STORAGES,
    Global,
    Record,
    RefusedPickleError,
    StorageRef,
    stand_in,
)

MAX_PICKLE_BYTES = 32 * 1024**2
MAX_OPCODES = 2_000_000
"""Limits of a program; that of yolov8s-worldv2 has 100 kB and 43,000 opcodes."""

MAX_DEPTH = 1000
"""Maximum number of open containers."""

MAX_TUPLE = 10_000
"""Maximum number of items of a tuple, as a call copies its arguments."""

MAX_NAMES = 1000
"""Maximum number of different names; a checkpoint with a text model has about a hundred."""

_OPCODES = frozenset(
    {
        *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK"),
        *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
        *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2"),
        *("LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS"),
        *("EMPTY_SET", "ADDITEMS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
        *("GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID"),
    }
)
"""Opcodes that torch.save writes; all others are refused."""

_CHANGES = frozenset({"APPEND", "APPENDS", "ADDITEMS", "SETITEM", "SETITEMS", "BUILD"})
"""Opcodes whose result is the object that they change."""

_KEYS = frozenset(
    {
        *(pickletools.pynone, pickletools.pybool, pickletools.pyint, pickletools.pyinteger_or_bool),
        *(pickletools.pyfloat, pickletools.pybytes, pickletools.pyunicode),
    }
)
"""Kinds of values with a fast hash; the hash of a nested tuple may take unlimited time."""

_NAME = pickletools.StackObject("name", object, "Name that the pickle refers to.")
"""Kind of a callable value."""

_MALFORMED = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
)
"""Exceptions of the scan, the unpickler and our functions for a malformed program."""


def read_pickle(program: bytes, *, where: str) -> Any:
    """Return the content of a pickle, as plain data.

    Parameters
    ----------
    program
        The pickle, protocol 2 to 5.
    where
        Name of the file, for messages.

    Raises
    ------
    MedrovError
        ``weights_untrusted`` if it names anything outside a closed list, uses an opcode that
        torch does not write, or is too long; ``weights_corrupt`` if it is malformed.
    """
    try:
        if len(program) > MAX_PICKLE_BYTES:
            raise RefusedPickleError(f"has a pickle of {len(program)} bytes")
        _scan(program)
        return _InertUnpickler(io.BytesIO(program)).load()
    except RefusedPickleError as refusal:
        raise MedrovError(
            ErrorCode.WEIGHTS_UNTRUSTED,
            f"{where} {refusal}, which no YOLO-World checkpoint contains; no code was run",
            "Do not load this file with torch either, unless you trust who made it.",
        ) from None
    except _MALFORMED as error:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT, f"{where}: its pickle is malformed", "Get the file again."
        ) from error


def _scan(program: bytes) -> None:
    """Simulate a program to its end, with the kinds of values in place of values.

    Raises
    ------
    Refusal
        For an operation, a length or a call that no checkpoint contains.
    IndexError, KeyError, TypeError, ValueError
        If it is malformed.
    """
    stack: list[pickletools.StackObject] = []
    marks: list[int] = []
    memo: dict[int, pickletools.StackObject] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(program)):
        if opcode.name not in _OPCODES:
            raise RefusedPickleError(f"uses the pickle operation {opcode.name}")
        if count > MAX_OPCODES:
            raise RefusedPickleError(f"has a pickle of more than {MAX_OPCODES} operations")
        if len(marks) > MAX_DEPTH:
            raise RefusedPickleError(f"has a pickle of more than {MAX_DEPTH} open containers")
        taken = _take(opcode, stack, marks)
        _check(opcode.name, argument, taken)
        if opcode.name == "MARK":
            marks.append(len(stack))
        elif opcode.name == "MEMOIZE" or "PUT" in opcode.name:
            stack += taken
            index = len(memo) if argument is None else int(argument)
            if not 0 <= index <= count:  # an unpickler reserves memory up to this index
                raise ValueError
            memo[index] = stack[-1]
        elif "GET" in opcode.name:
            stack.append(memo[int(argument or 0)])
        elif "GLOBAL" in opcode.name:
            stack.append(_NAME)
        else:
            stack += taken[:1] if opcode.name in _CHANGES else opcode.stack_after


def _take(
    opcode: pickletools.OpcodeInfo, stack: list[pickletools.StackObject], marks: list[int]
) -> list[pickletools.StackObject]:
    """Remove the operands of an operation from the stack, and return their kinds."""
    before, above = opcode.stack_before, []
    if pickletools.markobject in before:
        start = marks.pop()
        above = stack[start:]
        del stack[start:]
        before = before[: before.index(pickletools.markobject)]
    start = len(stack) - len(before)
    if start < (marks[-1] if marks else 0):
        raise IndexError
    below = stack[start:]
    del stack[start:]
    return below + above


def _check(name: str, argument: Any, taken: list[pickletools.StackObject]) -> None:
    """Refuse an unknown name, a call of a value, the state of a value, and keys with a costly hash."""
    if name == "GLOBAL":
        _known(*argument.split(" ", 1))
    elif name == "TUPLE" and len(taken) > MAX_TUPLE:
        raise RefusedPickleError(f"has a tuple of {len(taken)} items")
    elif name in ("REDUCE", "NEWOBJ") and taken[0] is not _NAME:
        raise RefusedPickleError("calls a value")
    elif name == "BUILD" and taken[0] is not pickletools.anyobject:
        raise RefusedPickleError(STATELESS)
    elif name in ("SETITEM", "SETITEMS", "ADDITEMS"):
        hashed = taken[1:] if name == "ADDITEMS" else taken[1::2]
        if not _KEYS.issuperset(hashed):
            raise TypeError


class _InertUnpickler(pickle.Unpickler):
    """Python's unpickler with inert values for names and persistent ids."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self._names: dict[tuple[str, str], Global | type[Record]] = {}

    def find_class(self, module: str, name: str, /) -> Global | type[Record]:
        """Return the inert value of a name, without an import."""
        if (module, name) not in self._names:
            if len(self._names) >= MAX_NAMES:
                raise RefusedPickleError(f"contains more than {MAX_NAMES} names")
            self._names[module, name] = _known(module, name)
        return self._names[module, name]

    def persistent_load(self, token: Any) -> StorageRef:
        """Return the storage of a persistent id, torch's reference to a member of the archive."""
        kind, what, key, _location, length = token
        is_storage = isinstance(what, Global) and what.module == "torch" and what.name in STORAGES
        if kind != "storage" or not is_storage:
            raise RefusedPickleError("references data of an unknown kind")
        if type(key) is not str or not (key.isascii() and key.isalnum()) or type(length) is not int:
            raise ValueError
        return StorageRef(what.name, key, length)


def _known(module: str, name: str) -> Global | type[Record]:
    """Return the inert value of a name, or refuse the pickle."""
    found = stand_in(module, name)
    if found is None:
        shown = ".".join(ascii(part[:80])[1:-1] for part in (module, name))
        raise RefusedPickleError(f"requests {shown}")
    return found
