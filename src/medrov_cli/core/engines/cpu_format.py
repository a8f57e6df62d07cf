"""Number format of OpenVINO on this CPU: the requested one, or the fastest with a small stated loss."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.processor import multiplies_bf16_in_tiles, multiplies_in_int8
from medrov_cli.core.engines.openvino_streams import computes_in_bf16
from medrov_cli.core.settings.choices import Precision
from medrov_cli.core.weights.number_formats import NumberFormats, read_formats

AUTO_POINTS = 0.1
"""Largest stated loss of mAP50 of a format that ``auto`` chooses, in percentage points."""


def choose_cpu_format(weights: Path, requested: Precision) -> tuple[Precision, NumberFormats | None]:
    """Return the number format of a run, and for int8 the ranges.

    ``auto`` is int8, bf16 or fp32 (with AMX bf16, int8 or fp32): the first for which the CPU has instructions
    and of which the weights state a loss of at most `AUTO_POINTS`.

    Raises
    ------
    MedrovError
        ``USAGE`` if the CPU does not compute in the requested format, or the weights have no ranges for it;
        ``WEIGHTS_CORRUPT``.
    """
    if requested is Precision.BF16 and not computes_in_bf16():
        raise usage_error("--precision bf16: this CPU does not compute in bf16", "Use fp32.")
    if requested not in (Precision.INT8, Precision.AUTO):
        return requested, None
    formats = read_formats(weights)
    if requested is Precision.INT8:
        if formats is None:
            raise usage_error(
                f"--precision int8: there are no ranges for {weights.name}",
                "Use fp32, or 'medrov export --to openvino --precision int8'.",
            )
        return Precision.INT8, formats
    losses = {} if formats is None else formats.losses
    order = [(Precision.INT8, multiplies_in_int8), (Precision.BF16, computes_in_bf16)]
    for name, is_able in reversed(order) if multiplies_bf16_in_tiles() else order:
        if name in losses and losses[name].points <= AUTO_POINTS and is_able():
            return name, formats
    return Precision.FP32, None
