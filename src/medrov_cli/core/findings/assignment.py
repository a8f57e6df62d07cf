"""Assignment of boxes of two slices, group by group.

The allowed pairs of two slices fall into many small groups that share no box; such a group is searched whole.
scipy is imported for larger ones only: its import takes longer than the linking of most volumes.
"""

from __future__ import annotations

import numpy as np

from medrov_cli.core.records.boxes import BoolArray, FloatArray

SMALL = 4
"""Largest number of boxes of each slice in a group that is searched whole."""

_FORBIDDEN = 1e6  # far above any sum of costs of a group


def cheapest_assignment(allowed: BoolArray, cost: FloatArray) -> list[tuple[int, int]]:
    """Return as many allowed pairs as possible, and of these the assignment with the lowest cost.

    Parameters
    ----------
    allowed
        bool, (n, m): which pairs are allowed.
    cost
        float, (n, m), at least 0; that of pairs that are not allowed is not used.
    """
    pairs: list[tuple[int, int]] = []
    for rows, columns in _groups(allowed):
        own = np.ix_(rows, columns)
        solve = _search if max(len(rows), len(columns)) <= SMALL else _solve
        pairs += [(rows[row], columns[column]) for row, column in solve(allowed[own], cost[own])]
    return sorted(pairs)


def _groups(allowed: BoolArray) -> list[tuple[list[int], list[int]]]:
    """Return the rows and columns of each group of pairs that share a row or a column."""
    columns_of = [np.flatnonzero(row).tolist() for row in allowed]
    rows_of = [np.flatnonzero(column).tolist() for column in allowed.T]
    seen: set[int] = set()
    groups = []
    for first, own in enumerate(columns_of):
        if first in seen or not own:
            continue
        rows, columns, waiting = {first}, set[int](), [first]
        while waiting:
            for column in columns_of[waiting.pop()]:
                if column not in columns:
                    columns.add(column)
                    new = [row for row in rows_of[column] if row not in rows]
                    rows.update(new)
                    waiting += new
        seen |= rows
        groups.append((sorted(rows), sorted(columns)))
    return groups


def _search(allowed: BoolArray, cost: FloatArray) -> list[tuple[int, int]]:
    """Return the best of all assignments of a small group."""
    best: tuple[int, float, list[tuple[int, int]]] = (0, 0.0, [])

    def extend(row: int, taken: list[tuple[int, int]], total: float) -> None:
        nonlocal best
        if row == len(allowed):
            if (-len(taken), total) < (-best[0], best[1]):
                best = (len(taken), total, taken)
            return
        for column in range(allowed.shape[1]):
            if allowed[row, column] and all(column != other for _, other in taken):
                extend(row + 1, [*taken, (row, column)], total + float(cost[row, column]))
        extend(row + 1, taken, total)

    extend(0, [], 0.0)
    return best[2]


def _solve(allowed: BoolArray, cost: FloatArray) -> list[tuple[int, int]]:
    """Return the best assignment of a large group."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(np.where(allowed, cost, _FORBIDDEN))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if allowed[row, column]]
