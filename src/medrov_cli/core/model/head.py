"""Contrastive detection head: boxes, and similarities of regions to texts.

The class logit of a region is ``exp(scale) * <BN(W h + b), t> + bias`` with a 512-wide region
embedding ``W h + b`` and the text ``t`` (YOLO-World v2). The embedding is linear in the features
``h``, so the batch norm and the product with the text fold into one map from ``h`` to the
classes, and the 512-wide maps are never computed. In training the statistics of the batch norm are
computed exactly from the mean and covariance of ``h``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from medrov_cli.core.base.constants import REG_MAX, TEXT_WIDTH
from medrov_cli.core.model.blocks import DFL, BNContrastiveHead, Conv
from medrov_cli.core.model.learning.distributed import mean_over_processes, process_count
from medrov_cli.core.model.scales import head_widths


class ContrastiveDetectionHead(nn.Module):
    """Head that predicts box distances and region-text logits on three feature levels.

    Parameters
    ----------
    channels
        Input channels of each level.
    strides
        Model pixels per cell of each level.
    """

    def __init__(self, channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
        super().__init__()
        self.strides = strides
        box_width, text_width = head_widths(channels[0])
        self.cv2 = nn.ModuleList(
            nn.Sequential(
                Conv(c, box_width, 3), Conv(box_width, box_width, 3), nn.Conv2d(box_width, 4 * REG_MAX, 1)
            )
            for c in channels
        )
        self.cv3 = nn.ModuleList(
            nn.Sequential(
                Conv(c, text_width, 3), Conv(text_width, text_width, 3), nn.Conv2d(text_width, TEXT_WIDTH, 1)
            )
            for c in channels
        )
        self.cv4 = nn.ModuleList(BNContrastiveHead(TEXT_WIDTH) for _ in channels)
        self.dfl = DFL(REG_MAX)
        for branch in self.cv2:
            nn.init.ones_(cast(nn.Conv2d, cast(nn.Sequential, branch)[-1]).bias)  # type: ignore[arg-type]

    def forward(self, levels: tuple[Tensor, ...], text: Tensor) -> tuple[Tensor, Tensor]:
        """Return distance logits (b, a, 64) and region-text logits (b, a, t).

        Parameters
        ----------
        levels
            Feature maps, float, (b, c, h, w) each.
        text
            Adapted class embeddings, float32, (b, t, 512), L2 norm 1.
        """
        distances = []
        logits = []
        for hidden, box_branch, branch, contrast, x in zip(
            self.hidden(levels), self.cv2, self.cv3, self.cv4, levels, strict=True
        ):
            distances.append(box_branch(x).flatten(2).transpose(1, 2))
            projection = cast(nn.Conv2d, cast(nn.Sequential, branch)[-1])
            logits.append(_similarity(hidden, text, projection, contrast))
        return torch.cat(distances, 1), torch.cat(logits, 1)

    def hidden(self, levels: tuple[Tensor, ...]) -> Iterator[Tensor]:
        """Yield the features of each level before the product with the text, (b, anchors, c)."""
        for branch, x in zip(self.cv3, levels, strict=True):
            *layers, _ = cast(nn.Sequential, branch)
            h = x
            for layer in layers:
                h = layer(h)
            yield h.flatten(2).transpose(1, 2)

    def anchors(self, grid_hw: tuple[tuple[int, int], ...], like: Tensor) -> tuple[Tensor, Tensor]:
        """Return anchor centres in model pixels (a, 2), x before y, and their strides (a, 1)."""
        centres = []
        strides = []
        for (rows, columns), stride in zip(grid_hw, self.strides, strict=True):
            y = torch.arange(rows, device=like.device, dtype=torch.float32) + 0.5
            x = torch.arange(columns, device=like.device, dtype=torch.float32) + 0.5
            grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
            centres.append(torch.stack((grid_x, grid_y), -1).view(-1, 2) * stride)
            strides.append(torch.full((rows * columns, 1), float(stride), device=like.device))
        return torch.cat(centres), torch.cat(strides)

    def decode(self, distances: Tensor, grid_hw: tuple[tuple[int, int], ...]) -> Tensor:
        """Return boxes in model pixels, float32, (b, a, 4), xyxy, from distance logits (b, a, 64)."""
        centres, strides = self.anchors(grid_hw, distances)
        b, a, _ = distances.shape
        bins = torch.arange(REG_MAX, device=distances.device, dtype=torch.float32)
        expected = distances.float().view(b, a, 4, REG_MAX).softmax(3) @ bins  # (b, a, 4), in cells
        left_top, right_bottom = (expected * strides).chunk(2, 2)
        return torch.cat((centres - left_top, centres + right_bottom), 2)


def _similarity(rows: Tensor, text: Tensor, projection: nn.Conv2d, contrast: nn.Module) -> Tensor:
    """Return ``exp(scale) * <BN(projection(rows)), text> + bias`` in float32, (b, n, t).

    ``rows`` are (b, n, c) features, ``text`` is (b, t, 512).
    """
    norm = cast(nn.BatchNorm2d, contrast.norm)
    scale = cast(Tensor, contrast.logit_scale).exp()
    with torch.autocast(rows.device.type, enabled=False):
        rows = rows.float()
        weight = projection.weight.flatten(1).float()  # (512, c)
        offset = cast(Tensor, projection.bias).float()
        if norm.training:
            mean, variance = _projected_moments(rows, weight, offset, norm)
        else:
            mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        gain = norm.weight / (variance + norm.eps).sqrt()  # (512,)
        map_to_text = (text * gain) @ weight  # (b, t, c)
        constant = text @ (norm.bias + (offset - mean) * gain)  # (b, t)
        similarity = torch.baddbmm(constant.unsqueeze(1), rows, map_to_text.transpose(1, 2))
        return similarity * scale + cast(Tensor, contrast.bias)


def _projected_moments(
    rows: Tensor, weight: Tensor, offset: Tensor, norm: nn.BatchNorm2d
) -> tuple[Tensor, Tensor]:
    """Return the mean and variance of ``weight @ row + offset`` over all rows; update those of ``norm``."""
    flat = rows.flatten(0, 1)  # (N, c)
    own = flat.shape[0]
    second, row_mean = flat.T @ flat / own, flat.mean(0)
    moments = mean_over_processes(torch.cat((second, row_mean.unsqueeze(0))))  # (c + 1, c)
    row_mean = moments[-1]
    covariance = moments[:-1] - torch.outer(row_mean, row_mean)
    count = own * process_count()
    mean = weight @ row_mean + offset
    variance = ((weight @ covariance) * weight).sum(1).clamp_min(0)
    with torch.no_grad():
        momentum = cast(float, norm.momentum)
        cast(Tensor, norm.running_mean).lerp_(mean, momentum)
        cast(Tensor, norm.running_var).lerp_(variance * (count / max(count - 1, 1)), momentum)
        cast(Tensor, norm.num_batches_tracked).add_(1)
    return mean, variance
