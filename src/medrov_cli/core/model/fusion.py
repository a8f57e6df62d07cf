"""Fusion of batch norms with the convolutions before them, for faster inference."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from medrov_cli.core.model.blocks import Conv
from medrov_cli.core.model.network import Detector


def fuse(detector: Detector) -> Detector:
    """Fuse the batch norms of a detector in evaluation mode, in place, and return it.

    The result is for inference only: its parameters do not have the names of a weights file.
    """
    for module in detector.modules():
        if isinstance(module, Conv) and isinstance(module.bn, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.register_module("bn", nn.Identity())
    return detector
