"""The inert values that stand for the objects of a pickled checkpoint, and which names make them.

A closed list: classes of the model packages become a :class:`Record`, tensors a
:class:`TensorRef`, a few containers plain Python ones. Nothing here imports or calls what a name
refers to; each value defines itself what a pickle may do to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

MAX_NAME = 200
"""Longest module or class name; real ones have up to 60 characters."""

MAX_DIMENSIONS = 8
"""Most dimensions of a tensor; weights have up to 4."""


STATELESS = "sets the state of something that is not an object"


class RefusedPickleError(Exception):
    """A pickle does what no checkpoint needs; the text continues a sentence that begins with the file."""


class Inert:
    """A value that a pickle can neither change nor call."""

    def __setstate__(self, state: Any) -> None:
        """Refuse the pickle operation BUILD."""
        raise RefusedPickleError(STATELESS)


@dataclass(frozen=True)
class Global(Inert):
    """A name that the pickle refers to. It is not looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    def __call__(self, *arguments: Any) -> Any:
        """Return what our own function makes of the arguments (the pickle operation REDUCE)."""
        builder = BUILDERS.get(str(self))
        if builder is None:
            raise RefusedPickleError(f"calls {self}")
        return builder(*arguments)


class Record:
    """An object of some class, as plain data.

    A subclass stands for each class that a pickle names: the operation NEWOBJ takes a type.

    Attributes
    ----------
    state
        What the object's ``__dict__`` would hold.
    """

    __slots__ = ("state",)
    state: dict[Any, Any]

    def __new__(cls, *_arguments: Any) -> Self:
        """Return an empty record, whatever the arguments are."""
        record = super().__new__(cls)
        record.state = {}
        return record

    def __setstate__(self, state: Any) -> None:
        """Keep a state (the pickle operation BUILD); no method is looked up in it."""
        attributes = state[0] if isinstance(state, tuple) and state else state
        self.state = attributes if isinstance(attributes, dict) else {}

    @property
    def class_name(self) -> str:
        """Return the name of the class without its module."""
        return type(self).__name__


class Mapping(dict[Any, Any]):
    """The items of an ordered dict; attributes that it may carry are left out."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Leave out attributes."""


@dataclass(frozen=True, eq=False)
class StorageRef(Inert):
    """A block of numbers in another member of the archive: its type, key and length in elements."""

    type_name: str
    key: str
    length: int


@dataclass(frozen=True, eq=False)
class TensorRef(Inert):
    """A view on a storage, not read yet. Offset, shape and strides count elements, none is negative."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


STORAGES = frozenset(
    f"{kind}Storage"
    for kind in ("Half", "BFloat16", "Float", "Double", "Char", "Short", "Int", "Long", "Byte", "Bool")
)
"""Types of storage, named in module ``torch``."""

_MODULES = frozenset(
    {
        "ultralytics.nn.tasks",
        "ultralytics.nn.text_model",
        "ultralytics.nn.modules.activation",
        "ultralytics.nn.modules.block",
        "ultralytics.nn.modules.conv",
        "ultralytics.nn.modules.head",
        "ultralytics.nn.modules.transformer",
        "ultralytics.utils.loss",
        "ultralytics.utils.tal",
    }
)
"""Modules whose classes become records: the detector, and what a training checkpoint carries."""

_PACKAGES = ("torch.nn.modules.", "clip.", "open_clip.", "timm.layers.", "timm.models.", "transformers.")
"""Packages whose classes become records: layers, and an embedded text model."""

_CLASSES = frozenset(
    {
        "functools.partial",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        "numpy.dtype",
        "pathlib.PosixPath",
        "pathlib.WindowsPath",
        "pathlib._local.PosixPath",
        "pathlib._local.WindowsPath",
        "ultralytics.utils.IterableSimpleNamespace",
        "_codecs.encode",
    }
)
"""Further names that become records: settings and measured numbers, none of which we read."""

_VALUES = frozenset(
    f"torch.{name}"
    for name in (
        *("float16", "bfloat16", "float32", "float64", "int64"),
        *("Tensor", "nn.parameter.Parameter", "_C._nn.gelu", "nn.functional.gelu"),
    )
)
"""Names that may stand as values, but not be applied to anything."""


def stand_in(module: str, name: str) -> Global | type[Record] | None:
    """Return the inert value that stands for a name, or null for a name that is not on the list."""
    if not 0 < len(module) <= MAX_NAME or not 0 < len(name) <= MAX_NAME:
        return None
    full = f"{module}.{name}"
    of_a_model = module in _MODULES or module.startswith(_PACKAGES)
    if full in _CLASSES or (of_a_model and name.isidentifier() and name.lstrip("_")[:1].isupper()):
        return type(name, (Record,), {"__slots__": ()})
    is_value = full in _VALUES or full in BUILDERS or (module == "torch" and name in STORAGES)
    return Global(module, name) if is_value else None


def _tensor(*args: Any) -> TensorRef:
    """Return the view that ``torch._utils._rebuild_tensor_v2`` would; gradients do not matter."""
    storage, offset, shape, strides = args[:4]
    shape, strides = _items(shape), _items(strides)
    if not isinstance(storage, StorageRef) or not len(shape) == len(strides) <= MAX_DIMENSIONS:
        raise ValueError
    if any(type(number) is not int or number < 0 for number in (offset, *shape, *strides)):
        raise ValueError
    return TensorRef(storage, offset, tuple(shape), tuple(strides))


def _typed_tensor(what: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    """Return the tensor that was wrapped because it carries attributes; these do not matter."""
    if what not in (
        Global("torch._utils", "_rebuild_tensor_v2"),
        Global("torch._utils", "_rebuild_parameter"),
    ):
        raise ValueError
    return BUILDERS[str(what)](*_items(arguments))


def _first(*args: Any) -> Any:
    """Return the data of a parameter, or the name of a device; the rest does not matter."""
    return args[0]


def _mapping() -> Mapping:
    """Return an empty dict; the items of an ordered one follow as opcodes."""
    return Mapping()


def _items(values: Any = ()) -> list[Any] | tuple[Any, ...]:
    """Return the elements of a set or a size as they are: a copy could be asked for a million times."""
    if isinstance(values, list | tuple):
        return values
    raise TypeError


BUILDERS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._tensor._rebuild_from_type_v2": _typed_tensor,
    "collections.OrderedDict": _mapping,
    "builtins.set": _items,
    "__builtin__.set": _items,
    "torch.Size": _items,
    "torch.device": _first,
}
"""Names that may be applied to arguments, and our own function that stands for each."""
