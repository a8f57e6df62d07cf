"""AdamW, with orthogonalised steps for the weights of hidden convolutions.

Source: Muon (https://kellerjordan.github.io/posts/muon/): the momentum of a weight matrix is replaced by the
nearest orthogonal matrix, so that all directions have steps of equal length. Steps are scaled to the length
of AdamW's (arXiv 2502.16982), so that both use the same learning rate and weight decay.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from medrov_cli.core.model.learning.orthogonal import orthogonalize, product_format

MOMENTUM = 0.95

_LIKE_ADAMW = 0.2
"""Root mean square of a step of AdamW, in units of the learning rate."""


class Muon(torch.optim.AdamW):
    """Optimizer with orthogonalised steps in groups with ``orthogonal``, and AdamW in the others.

    Parameters
    ----------
    params, lr, fused
        As for :class:`torch.optim.AdamW`.
    """

    def __init__(self, params: Iterable[dict[str, Any]], lr: float, *, fused: bool) -> None:
        super().__init__(params, lr=lr, fused=fused)
        # A gradient scaler (fp16) expects fused steps to unscale and skip; some steps here are not fused.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step; ``closure`` as in torch."""
        gradients: list[tuple[dict[str, Any], list[Tensor], list[Tensor]]] = []
        for group in self.param_groups:
            if group.get("orthogonal"):
                moved = [own for own in group["params"] if own.grad is not None]
                if moved:
                    gradients.append((group, moved, [cast(Tensor, own.grad) for own in moved]))
                for own in moved:
                    own.grad = None  # AdamW skips it
        loss = super().step(closure)
        for group, moved, steps in gradients:
            self._orthogonal_step(group, moved, steps)
        return cast("float | None", loss)

    def _orthogonal_step(self, group: dict[str, Any], moved: list[Tensor], gradients: list[Tensor]) -> None:
        for own in moved:
            if "momentum" not in self.state[own]:
                # AdamW expects a step in every state
                self.state[own] |= {"step": torch.zeros(()), "momentum": torch.zeros_like(own)}
        momenta = [self.state[own]["momentum"] for own in moved]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        pairs = zip(gradients, momenta, strict=True)
        updates = _orthogonal([gradient.lerp(momentum, MOMENTUM) for gradient, momentum in pairs])
        torch._foreach_mul_(moved, 1 - group["lr"] * group["weight_decay"])
        for own, update, gradient in zip(moved, updates, gradients, strict=True):
            longer = max(own.shape[0], own[0].numel())
            own.add_(update, alpha=-group["lr"] * _LIKE_ADAMW * math.sqrt(longer))
            own.grad = gradient


def _orthogonal(updates: Sequence[Tensor]) -> list[Tensor]:
    """Return orthogonal steps for the weights of convolutions, (out, in, height, width) each.

    Matrices of equal shape are processed together. Columns are in the memory order of channels last; their
    order does not change the result.
    """
    flat = [update.permute(0, 2, 3, 1).flatten(1) for update in updates]
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, matrix in enumerate(flat):
        alike[matrix.shape[0], matrix.shape[1]].append(number)
    found = list(updates)
    device = flat[0].device
    dtype = product_format(device)

    def orthogonalize_shape(numbers: list[int]) -> None:
        stack = torch.stack([flat[number] for number in numbers])
        results = orthogonalize(stack, dtype)
        for number, matrix in zip(numbers, results, strict=True):
            out, inputs, height, width = updates[number].shape
            found[number] = matrix.view(out, height, width, inputs).permute(0, 3, 1, 2)

    by_size = sorted(alike.values(), key=lambda numbers: -flat[numbers[0]].numel() * len(numbers))
    _side_by_side(orthogonalize_shape, by_size, device)
    return found


def _side_by_side(work: Callable[[list[int]], None], items: list[list[int]], device: torch.device) -> None:
    """Call ``work`` for each item, on a CPU in parallel with one thread per item.

    Products of this size gain little from several threads, and lose time to their synchronisation.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        for item in items:
            work(item)
        return
    try:
        list(_pool(threads).map(work, items))
    finally:
        torch.set_num_threads(threads)  # MKL has one number per process, which the pool changed


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return a cached pool of threads; new threads would allocate memory from the system at each step."""
    return ThreadPoolExecutor(threads, "muon", initializer=_compute_on_one_thread)


def _compute_on_one_thread() -> None:
    torch.set_num_threads(1)
