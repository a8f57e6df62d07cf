"""Initial weights for training from a closed-set YOLOv8, with random text parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.records.frame import UInt8Array

_CLASS_LAYER, _FIXED_LAYER = ".cv3.", "dfl.conv.weight"
_FRESH_SHARE = 0.01
"""Standard deviation of weights without a counterpart, relative to the others of the layer."""

_BATCH = 8


class UnfitTensorsError(ValueError):
    """Error for tensors that are not those of a YOLOv8 of the given scale; the text names the first."""


@torch.no_grad()
def start_from_closed_set(
    tensors: Mapping[str, np.ndarray], scale: str, draw_images: Callable[[], UInt8Array] | None, seed: int = 0
) -> Detector:
    """Return a detector with the layers of a closed-set YOLOv8 that both networks have.

    Both have the backbone (layers 0 to 9), the neck's convolutions (12 to 21), the box branch (22.cv2) and
    the first two convolutions of the class branch (22.cv3). ``C2fAttn.cv2`` reads one additional group of
    channels compared with YOLOv8's ``C2f.cv2``: their weights are random, with a hundredth of the others'
    deviation. The text parts (the projection to 512, the contrastive part, attention and adapter) have new
    initial weights.

    Parameters
    ----------
    tensors
        Tensors by the names of ultralytics' state dict (``model.0.conv.weight`` and so on), with batch norms,
        or with batch norms folded into the convolutions (``model.0.conv.bias``).
    scale
        ``n``, ``s``, ``m``, ``l`` or ``x``.
    draw_images
        Function that returns images, uint8, (n, side, side, 3), RGB, for the mean and variance of folded
        batch norms; required only for these. Images similar to the training images give smaller changes in
        the first steps.
    seed
        Seed of the random weights.

    Raises
    ------
    UnfitTensorsError
    """
    torch.manual_seed(seed)
    detector = Detector(Architecture(scale, text_adapter=True))
    own = detector.state_dict()
    found = {name: torch.from_numpy(np.ascontiguousarray(value)).float() for name, value in tensors.items()}
    folded = {name.removesuffix(".conv.bias") for name in found if name.endswith(".conv.bias")}
    for name, value in found.items():  # in order, because random channels are drawn one layer after the other
        if name in own and not name.endswith(_FIXED_LAYER) and not _is_class_projection(name):
            own[name].copy_(_fitted(name, value, own[name]))
    shared = [name for name in own if name.endswith(".conv.weight") and not name.endswith(_FIXED_LAYER)]
    expected = {name for name in shared if ".attn." not in name}
    fit = len(expected & found.keys())
    if fit < len(expected):
        raise UnfitTensorsError(f"{fit} convolutions fit, fewer than the {len(expected)} of the network")
    if folded:
        if draw_images is None:
            raise ValueError("batch norms that are folded need images")
        _rebuild_batch_norms(detector, {stem: found[f"{stem}.conv.bias"] for stem in folded}, draw_images())
    return detector.eval()


def _is_class_projection(name: str) -> bool:
    """Return whether a tensor belongs to the layer of class scores, 22.cv3.LEVEL.2."""
    return _CLASS_LAYER in name and name.split(_CLASS_LAYER)[1].split(".")[1] == "2"


def _fitted(name: str, value: Tensor, own: Tensor) -> Tensor:
    """Return a tensor in the shape of the network; missing input channels are last, small and random."""
    if value.shape == own.shape:
        return value
    missing = own.shape[1] - value.shape[1] if own.ndim == value.ndim == 4 else 0
    if missing <= 0 or not name.endswith(".cv2.conv.weight") or value.shape[0] != own.shape[0]:
        raise UnfitTensorsError(f"{name} has the shape {tuple(value.shape)}, not {tuple(own.shape)}")
    more = torch.randn(own.shape[0], missing, *own.shape[2:]) * value.std() * _FRESH_SHARE
    return torch.cat((value, more), 1)


def _rebuild_batch_norms(detector: Detector, biases: Mapping[str, Tensor], images_rgb: UInt8Array) -> None:
    """Set the statistics of each batch norm from images, and gain and bias for an equal layer.

    A folded layer computes ``W x + b``. With the mean m and the variance v of ``W x`` over the images, the
    gain is ``sqrt(v + eps)`` and the bias ``b + m``.
    """
    modules = dict(detector.named_modules())
    hooks = []
    sums: dict[str, tuple[Tensor, Tensor, int]] = {}

    def note(stem: str, inputs: Tensor) -> None:
        rows = inputs.double().transpose(0, 1).flatten(1)
        total, squares, count = sums.get(stem, (torch.zeros(()), torch.zeros(()), 0))
        sums[stem] = (total + rows.sum(1), squares + rows.square().sum(1), count + rows.shape[1])

    for stem, bias in biases.items():
        norm = modules.get(f"{stem}.bn")
        if not isinstance(norm, nn.BatchNorm2d):
            raise UnfitTensorsError(f"{stem} has a bias, but no batch norm in a YOLO-World network")
        norm.running_mean = torch.zeros_like(bias)
        norm.running_var = torch.full_like(bias, 1 - norm.eps)
        norm.weight.fill_(1.0)
        norm.bias.copy_(bias)
        hooks.append(norm.register_forward_pre_hook(lambda _, inputs, own=stem: note(own, inputs[0])))
    detector.eval()
    text = torch.eye(1, 512)
    for start in range(0, len(images_rgb), _BATCH):
        images = torch.from_numpy(images_rgb[start : start + _BATCH]).permute(0, 3, 1, 2).float() / 255
        detector(images, text)
    for hook in hooks:
        hook.remove()
    for stem, (total, squares, count) in sums.items():
        norm = modules[f"{stem}.bn"]
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0).float()
        norm.running_mean.copy_(mean.float())
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(biases[stem] + mean.float())
