"""Shards of a run: their inputs, and what ``run.json`` records so that ``medrov merge`` can join them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from medrov_cli.core.pixels.found_files import SkippedFile
from medrov_cli.core.pixels.inputs import Input
from medrov_cli.core.settings.values import Shard


def select_shard(inputs: Iterable[Input], shard: Shard) -> Iterator[Input]:
    """Yield the inputs of a shard: every n-th unit. The files of a DICOM series are one unit."""
    for number, item in number_units(inputs):
        if number % shard.count == shard.number - 1:
            yield item


def number_units(inputs: Iterable[Input]) -> Iterator[tuple[int, Input]]:
    """Yield each input with the 0-based number of its unit."""
    number = -1
    series: tuple[str, ...] = ()
    for item in inputs:
        if not item.series or item.series != series:
            number += 1
        series = item.series
        yield number, item


def describe_inputs(inputs: Sequence[Input]) -> dict[str, Any]:
    """Return number and SHA-256 of inputs: of their names and sizes, in order."""
    digest = hashlib.sha256()
    for item in inputs:
        try:
            size_bytes = os.stat(item.path).st_size  # noqa: PTH116 - the path is taken as it was given
        except (OSError, ValueError):
            size_bytes = -1
        digest.update(f"{item.path}\0{size_bytes}\n".encode(errors="surrogateescape"))
    return {"count": len(inputs), "sha256": digest.hexdigest()}


def describe_shard(
    inputs: Sequence[Input], every: Sequence[Input], skipped: Sequence[SkippedFile]
) -> dict[str, Any]:
    """Return the object ``inputs`` of the ``run.json`` of a shard.

    Parameters
    ----------
    inputs, every
        Inputs of the shard, and of all shards.
    skipped
        Files that were left out.

    Returns
    -------
    dict
        Besides number and hash: ``whole``, those of all shards; ``units``, runs of equal units of the shard
        as pairs of files per unit and number of units; ``skipped``.
    """
    return {
        **describe_inputs(inputs),
        "whole": describe_inputs(every),
        "units": _runs(inputs),
        **describe_skipped(skipped),
    }


def describe_skipped(skipped: Sequence[SkippedFile]) -> dict[str, Any]:
    """Return the files that were left out, for the summary of the joined run."""
    return {"skipped": [{"path": file.path, "reason": file.reason} for file in skipped]}


def unit_sizes(described: Mapping[str, Any]) -> Iterator[int]:
    """Yield the number of files of each unit of a shard, from its ``inputs`` in ``run.json``."""
    for files, units in described["units"]:
        for _ in range(units):
            yield files


def _runs(inputs: Iterable[Input]) -> list[list[int]]:
    """Return runs of equal units, each as files per unit and number of units."""
    runs: list[list[int]] = []
    for _, unit in groupby(number_units(inputs), itemgetter(0)):
        size = sum(1 for _ in unit)
        if runs and runs[-1][0] == size:
            runs[-1][1] += 1
        else:
            runs.append([size, 1])
    return runs
