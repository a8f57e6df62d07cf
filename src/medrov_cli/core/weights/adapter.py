"""Low-rank changes of the convolutions of a network: an adapter of learned classes.

Source: LoRA (arXiv 2106.09685). The kernel of a convolution, as a matrix (outputs, inputs), becomes
``kernel + up @ down``. Merged kernels need no further operation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.codec import Rule
from medrov_cli.core.records.frame import Float32Array

MAX_RANK = 64
"""Largest rank of a change."""

_UP, _DOWN = "adapter.up.", "adapter.down."


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    """Record of an adapter.

    Attributes
    ----------
    rank
        Rank of each change.
    steps
        Optimizer steps of the fit.
    ap50
        Mean AP at IoU 0.5 of the classes on held-out examples, each found by a network that was adapted
        without them; null without validation.
    plain_ap50
        The same without adapters.
    """

    rank: Annotated[int, Rule(low=1, high=MAX_RANK)]
    steps: Annotated[int, Rule(low=1, high=10**9)]
    ap50: float | None = None
    plain_ap50: float | None = None


@dataclass(frozen=True, eq=False)
class Adapter:
    """Changes of kernels by the name of the tensor.

    Attributes
    ----------
    factors
        ``up``, float32, (outputs, rank), and ``down``, float32, (rank, inputs), where ``inputs`` counts the
        input channels and cells of a kernel.
    """

    factors: Mapping[str, tuple[Float32Array, Float32Array]]

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of names, shapes and values."""
        digest = hashlib.sha256()
        for name, array in sorted(self.as_arrays().items()):
            digest.update(f"{name} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def as_arrays(self) -> dict[str, Float32Array]:
        """Return the factors as tensors of a file."""
        ups = {f"{_UP}{name}": up for name, (up, _) in self.factors.items()}
        return ups | {f"{_DOWN}{name}": down for name, (_, down) in self.factors.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], rank: int) -> Adapter:
        """Return the adapter of the tensors of a file; others are left out.

        Raises
        ------
        ValueError
            If a factor is missing, or has another rank or type, or a value that is not finite.
        """
        ups = {name.removeprefix(_UP): own for name, own in arrays.items() if name.startswith(_UP)}
        downs = {name.removeprefix(_DOWN): own for name, own in arrays.items() if name.startswith(_DOWN)}
        if not ups or ups.keys() != downs.keys():
            raise ValueError("a factor of the adapter is missing")
        for name, up in ups.items():
            down = downs[name]
            if up.ndim != 2 or down.ndim != 2 or up.shape[1] != rank or down.shape[0] != rank:
                raise ValueError(f"the factors of {name!r} do not fit each other")
            if up.dtype != np.float32 or down.dtype != np.float32:
                raise ValueError(f"the factors of {name!r} are not float32")
            if not (np.isfinite(up).all() and np.isfinite(down).all()):
                raise ValueError(f"the factors of {name!r} have values that are not finite")
        return cls({name: (ups[name], downs[name]) for name in sorted(ups)})

    def merge(self, tensors: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the tensors of a network with changed kernels, in the types of the network.

        Raises
        ------
        ValueError
            If a kernel is missing or has another shape.
        """
        merged = dict(tensors)
        for name, (up, down) in self.factors.items():
            kernel = tensors.get(name)
            if kernel is None or kernel.ndim != 4:
                raise ValueError(f"the network has no kernel {name!r}")
            if (kernel.shape[0], kernel[0].size) != (up.shape[0], down.shape[1]):
                raise ValueError(f"the change of {name!r} has another shape than the kernel")
            change = (up @ down).reshape(kernel.shape)
            merged[name] = (kernel.astype(np.float32) + change).astype(kernel.dtype)
        return merged
