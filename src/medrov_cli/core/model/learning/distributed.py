"""Statistics over all training processes, for the result of a single process.

A batch divided over processes gives the same loss and gradients as in one process: batch norms use the
statistics of the whole batch, and the loss is divided by its norm.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn import functional as collective


def process_count() -> int:
    """Return the number of training processes."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes, with gradients for each of them."""
    count = process_count()
    if count == 1:
        return value
    total: Tensor = collective.all_reduce(value)  # type: ignore[no-untyped-call]
    return total / count


def synchronize_batch_norms(network: nn.Module) -> None:
    """Make the batch norms of a network use the batches of all processes, in place.

    On a GPU they become those of torch, which do not work on the CPU.
    """
    if process_count() == 1:
        return
    if next(network.parameters()).is_cuda:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = _SharedBatchNorm2d


class _SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, which have equal sizes."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return the normalised feature maps, (b, c, h, w)."""
        if not self.training:
            return super().forward(input)
        values = input.float()
        mean = mean_over_processes(values.mean((0, 2, 3)))
        centred = values - mean[:, None, None]
        variance = mean_over_processes(centred.square().mean((0, 2, 3)))
        count = input.numel() // input.shape[1] * process_count()
        with torch.no_grad():
            momentum = cast(float, self.momentum)
            cast(Tensor, self.running_mean).lerp_(mean, momentum)
            cast(Tensor, self.running_var).lerp_(variance * (count / max(count - 1, 1)), momentum)
            cast(Tensor, self.num_batches_tracked).add_(1)
        gain = self.weight * (variance + self.eps).rsqrt()
        return (centred * gain[:, None, None] + self.bias[:, None, None]).to(input.dtype)
