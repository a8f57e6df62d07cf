"""A reader of pickles that runs nothing: opcodes become plain data.

A pickle is a program. Python's own unpickler imports and calls what the program names; this one
is a small machine that knows the opcodes of a torch checkpoint and only builds dicts, lists,
tuples, numbers, texts and inert records. No name is ever imported, nothing is ever called. A name
that a detection checkpoint has no need of ends the reading with ``weights_untrusted``, so that a
trap is reported, not skipped.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, NoReturn

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.model.importing.stubs import (
    BUILDERS,
    STORAGES,
    Global,
    Record,
    StorageRef,
    is_class,
    is_known,
)

MAX_PICKLE_BYTES = 32 * 1024**2
MAX_OPCODES = 2_000_000
"""Limits of a program. That of yolov8s-worldv2 has 100 kB and 43,000 opcodes."""


def read_pickle(program: bytes, *, where: str) -> Any:
    """Return what a pickle describes, as plain data.

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
    machine = _Machine(where)
    if len(program) > MAX_PICKLE_BYTES:
        machine.refuse(f"has a pickle of {len(program)} bytes")
    try:
        return machine.run(program)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT, f"{where}: its pickle is malformed", "Get the file again."
        ) from error


class _Machine:
    """The stack, the marks and the memo of a pickle program.

    Its operations raise the built-in errors of lists and dicts where the program is malformed.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, program: bytes) -> Any:
        """Follow the program to its end and return the value that it leaves."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(program)):
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name not in _HANDLERS:
                self.refuse(f"uses the pickle operation {opcode.name}")
            if count > MAX_OPCODES:
                self.refuse(f"has a pickle of more than {MAX_OPCODES} operations")
            _HANDLERS[opcode.name](self, argument)
        raise ValueError

    def refuse(self, what: str) -> NoReturn:
        """End the reading: the program wants what no checkpoint needs."""
        raise MedrovError(
            ErrorCode.WEIGHTS_UNTRUSTED,
            f"{self.where} {what}, which a YOLO-World checkpoint has no need of; nothing of it was run",
            "Do not load this file with torch either, unless you trust who made it.",
        )

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def take(self, count: int) -> tuple[Any, ...]:
        """Take off and return the last ``count`` values."""
        if count > len(self.stack):
            raise IndexError
        taken = tuple(self.stack[-count:])
        del self.stack[-count:]
        return taken

    def take_marked(self) -> list[Any]:
        """Take off and return everything above the last mark."""
        start = self.marks.pop()
        if start > len(self.stack):
            raise IndexError
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def name(self, module: Any, name: Any) -> None:
        """Put a name on the stack, if it is one of the known ones."""
        if not is_known(module, name):
            shown = ".".join(ascii(str(part)[:80])[1:-1] for part in (module, name))
            self.refuse(f"asks for {shown}")
        self.push(Global(module, name))

    def apply(self) -> None:
        """Apply a name to arguments: our own builder, or an empty record."""
        what, arguments = self.take(2)
        if not isinstance(arguments, tuple):
            raise TypeError
        builder = BUILDERS.get(str(what)) if isinstance(what, Global) else None
        if builder is None:
            self.instance(what)
        else:
            self.push(builder(*arguments))

    def instance(self, what: Any) -> None:
        """Put an empty record of a class on the stack."""
        if not is_class(what):
            self.refuse(f"calls {what}" if isinstance(what, Global) else "calls a value")
        self.push(Record(what.name))

    def build(self) -> None:
        """Give an object its state: kept as it is, never handed to a method."""
        (state,) = self.take(1)
        target = self.stack[-1]
        if isinstance(target, Record):
            attributes = state[0] if isinstance(state, tuple) and state else state
            target.state = attributes if isinstance(attributes, dict) else {}
        elif type(target) is not dict:  # an ordered dict may carry attributes; we have no use for them
            self.refuse("sets the state of something that is not an object")

    def extend(self, items: list[Any]) -> None:
        """Put items at the end of the list on the stack."""
        if type(self.stack[-1]) is not list:
            raise TypeError
        self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        """Put alternating keys and values into the dict on the stack.

        Scalar keys only: to hash a nested one could take for ever.
        """
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int | float | bytes | None):
                raise TypeError
            target[key] = value

    def remember(self, index: int) -> None:
        """Note the top of the stack under a number."""
        self.memo[index] = self.stack[-1]

    def storage(self) -> None:
        """Resolve a persistent id: torch's way to point at a storage of the archive."""
        (token,) = self.take(1)
        kind, what, key, _location, length = token
        is_storage = isinstance(what, Global) and what.module == "torch" and what.name in STORAGES
        if kind != "storage" or not is_storage:
            self.refuse("points at data of an unknown kind")
        if type(key) is not str or not (key.isascii() and key.isalnum()) or type(length) is not int:
            raise ValueError
        self.push(StorageRef(what.name, key, length))


_Handler = Callable[[_Machine, Any], None]


def _constant(value: Any) -> _Handler:
    """Return the operation that puts a constant on the stack."""
    return lambda machine, _: machine.push(value)


def _ignore(machine: _Machine, argument: Any) -> None:
    """Skip an opcode that only frames the program."""


def _pop(machine: _Machine, _: Any) -> None:
    """Drop the top of the stack."""
    machine.take(1)


def _pop_mark(machine: _Machine, _: Any) -> None:
    """Drop everything above the last mark."""
    machine.take_marked()


_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES"),
)

_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(("PROTO", "FRAME"), _ignore),
    **dict.fromkeys(_LITERALS, _Machine.push),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, index: m.push(m.memo[index])),
    "MEMOIZE": lambda m, _: m.remember(len(m.memo)),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_SET": lambda m, _: m.push([]),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "TUPLE": lambda m, _: m.push(tuple(m.take_marked())),
    "TUPLE1": lambda m, _: m.push(m.take(1)),
    "TUPLE2": lambda m, _: m.push(m.take(2)),
    "TUPLE3": lambda m, _: m.push(m.take(3)),
    "APPEND": lambda m, _: m.extend(list(m.take(1))),
    "APPENDS": lambda m, _: m.extend(m.take_marked()),
    "ADDITEMS": lambda m, _: m.extend(m.take_marked()),
    "SETITEM": lambda m, _: m.update(list(m.take(2))),
    "SETITEMS": lambda m, _: m.update(m.take_marked()),
    "GLOBAL": lambda m, pair: m.name(*pair.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.name(*m.take(2)),
    "REDUCE": lambda m, _: m.apply(),
    "NEWOBJ": lambda m, _: m.instance(m.take(2)[0]),
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": lambda m, _: m.storage(),
}
"""The opcodes that torch.save writes. All others are refused."""
