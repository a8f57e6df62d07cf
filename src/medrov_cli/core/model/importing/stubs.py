"""Inert values in place of the objects of a pickled checkpoint, and the names that create them.

The list of names is closed. Classes of the model packages become a :class:`Record`, tensors a
:class:`TensorRef`, and some containers plain Python ones. Names are neither imported nor called; each value
defines the operations of a pickle on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

MAX_NAME = 200
"""Maximum length of a module or class name; real ones have up to 60 characters."""

MAX_DIMENSIONS = 8
"""Maximum number of dimensions of a tensor; weights have up to 4."""


STATELESS = "sets the state of something that is not an object"


class RefusedPickleError(Exception):
    """Error for an operation that no checkpoint needs; the text follows the file's name."""


class Inert:
    """Value that a pickle can neither change nor call."""

    def __setstate__(self, state: Any) -> None:
        """Refuse the pickle operation BUILD."""
        raise RefusedPickleError(STATELESS)


@dataclass(frozen=True)
class Global(Inert):
    """Name in a pickle, without an import of it."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    def __call__(self, *arguments: Any) -> Any:
        """Return the result of our function for the arguments (the pickle operation REDUCE)."""
        builder = BUILDERS.get(str(self))
        if builder is None:
            raise RefusedPickleError(f"calls {self}")
        return builder(*arguments)


class Record:
    """Object of any class, as plain data.

    A subclass stands for each class that a pickle names: the operation NEWOBJ takes a type.

    Attributes
    ----------
    state
        Content of the object's ``__dict__``.
    """

    __slots__ = ("state",)
    state: dict[Any, Any]

    def __new__(cls, *_arguments: Any) -> Self:
        """Return an empty record; arguments are ignored."""
        record = super().__new__(cls)
        record.state = {}
        return record

    def __setstate__(self, state: Any) -> None:
        """Store a state (the pickle operation BUILD), without method lookups in it."""
        attributes = state[0] if isinstance(state, tuple) and state else state
        self.state = attributes if isinstance(attributes, dict) else {}

    @property
    def class_name(self) -> str:
        """Return the name of the class without its module."""
        return type(self).__name__


class Mapping(dict[Any, Any]):
    """Items of an ordered dict, without its attributes."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Discard attributes."""


@dataclass(frozen=True, eq=False)
class StorageRef(Inert):
    """Storage of numbers in another member of the archive: its type, key and length in elements."""

    type_name: str
    key: str
    length: int


@dataclass(frozen=True, eq=False)
class TensorRef(Inert):
    """Unread view of a storage. Offset, shape and strides count elements and are not negative."""

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
"""Modules whose classes become records: the detector, and further parts of a training checkpoint."""

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
"""Further names that become records: settings and measurements, which are not read."""

_VALUES = frozenset(
    f"torch.{name}"
    for name in (
        *("float16", "bfloat16", "float32", "float64", "int64"),
        *("Tensor", "nn.parameter.Parameter", "_C._nn.gelu", "nn.functional.gelu"),
    )
)
"""Names that are allowed as values, but not as functions."""


def stand_in(module: str, name: str) -> Global | type[Record] | None:
    """Return the inert value of a name, or null for a name that is not on the list."""
    if not 0 < len(module) <= MAX_NAME or not 0 < len(name) <= MAX_NAME:
        return None
    full = f"{module}.{name}"
    of_a_model = module in _MODULES or module.startswith(_PACKAGES)
    if full in _CLASSES or (of_a_model and name.isidentifier() and name.lstrip("_")[:1].isupper()):
        return type(name, (Record,), {"__slots__": ()})
    is_value = full in _VALUES or full in BUILDERS or (module == "torch" and name in STORAGES)
    return Global(module, name) if is_value else None


def _tensor(*args: Any) -> TensorRef:
    """Return the view of ``torch._utils._rebuild_tensor_v2``, without gradients."""
    storage, offset, shape, strides = args[:4]
    shape, strides = _items(shape), _items(strides)
    if not isinstance(storage, StorageRef) or not len(shape) == len(strides) <= MAX_DIMENSIONS:
        raise ValueError
    if any(type(number) is not int or number < 0 for number in (offset, *shape, *strides)):
        raise ValueError
    return TensorRef(storage, offset, tuple(shape), tuple(strides))


def _typed_tensor(what: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    """Return a tensor that was wrapped for its attributes, without them."""
    if what not in (
        Global("torch._utils", "_rebuild_tensor_v2"),
        Global("torch._utils", "_rebuild_parameter"),
    ):
        raise ValueError
    return BUILDERS[str(what)](*_items(arguments))


def _first(*args: Any) -> Any:
    """Return the data of a parameter, or the name of a device; other arguments are ignored."""
    return args[0]


def _mapping() -> Mapping:
    """Return an empty dict; the items of an ordered dict follow as opcodes."""
    return Mapping()


def _items(values: Any = ()) -> list[Any] | tuple[Any, ...]:
    """Return the elements of a set or a size without a copy, which a pickle could request a million times."""
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
"""Names that are allowed as functions, and our function for each."""
