"""Choice of the number format of a training run, with its reason."""

from __future__ import annotations

import torch

from medrov_cli.core.base.processor import PrecisionChoice, cpu_precision


def choose_precision(requested: str, device: str) -> PrecisionChoice:
    """Return the number format of the forward and backward pass.

    Parameters
    ----------
    requested
        ``auto``, or a format. ``auto`` is bf16 if the device computes in it, else fp32.
    device
        ``auto``, or torch's type of the device: ``cpu``, ``cuda``, ``mps``.
    """
    if requested != "auto":
        return PrecisionChoice(requested, "as asked for")
    if device in ("auto", "cuda") and torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return PrecisionChoice("bf16", f"{name} computes in bf16")
        return PrecisionChoice("fp32", f"{name} does not compute in bf16")
    if device == "mps" or (device == "auto" and torch.backends.mps.is_available()):
        return PrecisionChoice("fp32", "bf16 was not measured on Apple's GPUs")
    return cpu_precision()
