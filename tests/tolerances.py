"""Largest differences of one network in float32 that two engines, or two machines, may have.

Engines sum in other orders, fuse other operations and approximate ``exp`` in other ways; the instruction
set of the CPU (AVX2, AVX-512, AMX) selects the kernels. Therefore a number that was measured on one machine
is no limit. The limit follows from the number format: the values pass through about a hundred layers, each
of which rounds sums of up to some thousands of products. ``EPSILONS`` epsilons of the range of an output
leave eleven of the 23 bits of float32; an error of the network (a wrong weight, a swapped channel, another
activation) changes far more.
"""

from __future__ import annotations

import numpy as np

EPSILONS = 4096
SCORE_ATOL = EPSILONS * float(np.finfo(np.float32).eps)
"""Of scores, whose range is 1: 4.9e-4."""

LARGEST_DISTANCE_PX = 15 * 32
"""Largest distance from an anchor to an edge of its box: 15 bins at the largest stride."""

BOX_ATOL_PX = SCORE_ATOL * LARGEST_DISTANCE_PX
"""Of edges of boxes in pixels of the model input: 0.23."""
