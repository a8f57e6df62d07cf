"""Voxels of a volume with regular slices, which can be cut in other planes; others are refused by name."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.findings.stack import MISSING_STEP, SAME_STEP, SliceStack
from medrov_cli.core.records.plane_cut import VoxelGrid
from medrov_cli.core.records.plane_votes import PlanesRefusal


def regular_grid(stack: SliceStack, size_hw: tuple[int, int]) -> VoxelGrid | PlanesRefusal:
    """Return the voxels of a stack of slices, or why its slices are not regular.

    Parameters
    ----------
    stack
        Geometry of the slices.
    size_hw
        Rows and columns of each slice.
    """
    offsets = np.diff(stack.offsets_uvw_mm, axis=0)
    steps = np.abs(offsets[:, 2])
    step_mm = float(np.median(steps))
    if steps.max() >= MISSING_STEP * step_mm:
        return PlanesRefusal.MISSING_SLICES
    if steps.max() - steps.min() > SAME_STEP * step_mm:
        return PlanesRefusal.UNEVEN_STEPS
    if np.abs(offsets[:, :2]).max() > SAME_STEP * step_mm:
        return PlanesRefusal.TILTED_GANTRY
    turns = stack.pixel_uvw_mm - stack.pixel_uvw_mm[0]
    if np.abs(turns * np.array(size_hw[::-1])[:, None]).max() > min(stack.planes[0].spacing_mm):
        return PlanesRefusal.TILTED_GANTRY  # turned against each other: the far corner moves by a pixel
    sense = float(np.sign(offsets[0, 2]))
    directions = stack.frame * np.array([[1.0], [1.0], [sense]])
    corner = stack.offsets_uvw_mm[0] - [0, 0, sense * float(steps.mean()) / 2]
    row_mm, column_mm = stack.planes[0].spacing_mm
    shape = (size_hw[1], size_hw[0], len(stack.order))
    return VoxelGrid(directions, corner @ stack.frame, (column_mm, row_mm, float(steps.mean())), shape)
