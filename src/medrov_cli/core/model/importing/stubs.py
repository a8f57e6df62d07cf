"""The inert values that stand for the objects of a pickled checkpoint, and which names make them.

A closed list: classes of the model packages become a :class:`Record`, tensors a
:class:`TensorRef`, a few containers plain Python ones. Nothing here imports or calls what a name
refers to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_NAME = 200
"""Longest module or class name; real ones have up to 60 characters."""

MAX_DIMENSIONS = 8
"""Most dimensions of a tensor; weights have up to 4."""


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the pickle refers to. It is not looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Record:
    """An object of some class, as plain data.

    Attributes
    ----------
    class_name
        Name of the class without its module.
    state
        What the object's ``__dict__`` would hold.
    """

    class_name: str
    state: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class StorageRef:
    """A block of numbers in another member of the archive: its type, key and length in elements."""

    type_name: str
    key: str
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class TensorRef:
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


def is_known(module: Any, name: Any) -> bool:
    """Tell whether a pickle may refer to a name at all."""
    if not _is_short_text(module) or not _is_short_text(name):
        return False
    full = f"{module}.{name}"
    is_storage = module == "torch" and name in STORAGES
    return is_storage or full in _VALUES or full in BUILDERS or is_class(Global(module, name))


def is_class(what: Any) -> bool:
    """Tell whether an object of this class becomes a record."""
    if not isinstance(what, Global):
        return False
    if str(what) in _CLASSES:
        return True
    of_a_model = what.module in _MODULES or what.module.startswith(_PACKAGES)
    return of_a_model and what.name.isidentifier() and what.name.lstrip("_")[:1].isupper()


def _is_short_text(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= MAX_NAME


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
    """Return the data of a parameter; whether it wants gradients does not matter."""
    return args[0]


def _mapping() -> dict[Any, Any]:
    """Return an empty dict; the items of an ordered one follow as opcodes."""
    return {}


def _items(values: Any = ()) -> list[Any] | tuple[Any, ...]:
    """Return the elements of a set or a size as they are: a copy could be asked for a million times."""
    if isinstance(values, list | tuple):
        return values
    raise TypeError


def _device(kind: Any, *_index: Any) -> Any:
    """Return a device's name; it is not used."""
    return kind


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
    "torch.device": _device,
}
"""Names that may be applied to arguments, and our own function that stands for each."""
