"""AdamW, with orthogonalised steps for the weights of hidden convolutions.

Source: Muon (https://kellerjordan.github.io/posts/muon/): the momentum of a weight matrix is replaced by the
nearest orthogonal matrix, so that every direction moves alike, and not the few that have large gradients.
The orthogonalisation is ultralytics'. Steps are as long as AdamW's (arXiv 2502.16982), so that both take the
same learning rate and weight decay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor

from medrov_cli.core.model.blocks import muon_update

MOMENTUM = 0.95

_LIKE_ADAMW = 0.2
"""Root mean square of a step of AdamW, in learning rates."""


class Muon(torch.optim.AdamW):
    """Orthogonalised steps in the groups that say ``orthogonal``, AdamW in the others.

    Parameters
    ----------
    params, lr, fused
        As for :class:`torch.optim.AdamW`.
    """

    def __init__(self, params: Iterable[dict[str, Any]], lr: float, *, fused: bool) -> None:
        super().__init__(params, lr=lr, fused=fused)
        # A gradient scaler (fp16) leaves it to fused steps to unscale and to skip; these are not all fused.
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
                    own.grad = None  # AdamW leaves it alone
        loss = super().step(closure)
        for group, moved, steps in gradients:
            self._orthogonal_step(group, moved, steps)
        return cast("float | None", loss)

    def _orthogonal_step(self, group: dict[str, Any], moved: list[Tensor], gradients: list[Tensor]) -> None:
        for own in moved:
            if "momentum" not in self.state[own]:
                # AdamW looks for a step in every state that it is handed
                self.state[own] |= {"step": torch.zeros(()), "momentum": torch.zeros_like(own)}
        momenta = [self.state[own]["momentum"] for own in moved]
        updates = cast(list[Tensor], muon_update(gradients, momenta, beta=MOMENTUM, nesterov=True))
        torch._foreach_mul_(moved, 1 - group["lr"] * group["weight_decay"])
        for own, update, gradient in zip(moved, updates, gradients, strict=True):
            longer = max(own.shape[0], own[0].numel())
            own.add_(update, alpha=-group["lr"] * _LIKE_ADAMW * math.sqrt(longer))
            own.grad = gradient
