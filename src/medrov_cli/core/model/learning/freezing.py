"""Freezing of parts of the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from torch import nn

from medrov_cli.core.model.network import Detector
from medrov_cli.core.settings.choices import Part

_LAYERS = {
    Part.BACKBONE: ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    Part.NECK: ("12", "15", "16", "18", "19", "21"),
    Part.HEAD: ("22",),
}


def modules_of(detector: Detector, parts: Iterable[Part]) -> Iterator[nn.Module]:
    """Return the modules of parts; a network without a text adapter has no part ``text``."""
    for part in parts:
        if part is not Part.TEXT:
            yield from (detector.model[name] for name in _LAYERS[part])
        elif detector.text_adapter is not None:
            yield detector.text_adapter


def freeze(detector: Detector, parts: Iterable[Part]) -> None:
    """Disable the gradients of parts."""
    for parameter in chain.from_iterable(m.parameters() for m in modules_of(detector, parts)):
        parameter.requires_grad = False


def train_mode(detector: Detector, frozen: Iterable[Part]) -> None:
    """Set a network to training mode, except frozen parts, whose batch norms are not updated."""
    detector.train()
    for module in modules_of(detector, frozen):
        module.eval()
