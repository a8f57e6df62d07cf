"""Records of an image of which each job of ``--shard-by tiles`` searched a part, joined to one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import Any

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.detection.shard_parts import ShardPart
from medrov_cli.core.records.findings_json import is_volume_record

KINDS_WARNING = (
    "The parts of the image were classified as {}; classes were limited for each part by its kind."
)

_Records = list[dict[str, Any]]


def join_tile_parts(parts: Sequence[ShardPart]) -> Iterator[dict[str, Any]]:
    """Yield the records of all images: those of an image in tiles hold the objects of all parts.

    An object counts in the part with its centre, so that each occurs once. Number of tiles and skipped tiles
    are sums over the jobs, which both search the tiles on a border. Kind, modality and warnings of the frame
    are those of the part with the largest covered area; a record warns where kinds differ. An image that was
    searched whole has equal records in all parts.

    Raises
    ------
    MedrovError
        ``TRUNCATED`` if a part lacks records; ``USAGE`` for volumes whose slices are in tiles.
    """
    for groups in zip_longest(*(_by_input(part) for part in parts)):
        for part, group in zip(parts, groups, strict=True):
            if group is None or _key(group[0]) != _key(next(own for own in groups if own is not None)[0]):
                raise part.damaged()
        yield from _join_input(parts, groups)


def _by_input(part: ShardPart) -> Iterator[_Records]:
    try:
        for _, records in groupby(part.records(), _key):
            yield list(records)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise part.damaged() from error


def _key(record: Mapping[str, Any]) -> str | None:
    return None if is_volume_record(record) else str(record["path"])


def _join_input(parts: Sequence[ShardPart], groups: Sequence[_Records]) -> Iterator[dict[str, Any]]:
    """Yield the records of one input, or of the volumes behind it."""
    if _key(groups[0][0]) is None:
        if any(group != groups[0] for group in groups):
            raise usage_error(
                "volumes whose slices were searched in tiles by several jobs are not joined",
                "Share out the inputs: leave out --shard-by tiles.",
            )
        yield from groups[0]
        return
    images = [[record for record in group if "error" not in record] for group in groups]
    failed = [record for group in groups for record in group if "error" in record]
    count = min(map(len, images))
    if not failed and any(len(own) != count for own in images):
        raise parts[[len(own) for own in images].index(count)].damaged()
    for frame in zip(*(own[:count] for own in images), strict=True):
        yield _join_frame(frame) if any("tiling" in record for record in frame) else frame[0]
    yield from failed[:1]


def _join_frame(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the record of an image from those of its parts."""
    tilings = [record["tiling"] for record in records]
    areas = [tiling["region"][2] * tiling["region"][3] for tiling in tilings]
    covered = [area * tiling["coverage"] for area, tiling in zip(areas, tilings, strict=True)]
    first = records[covered.index(max(covered))]
    rows = [row for record in records for row in record["detections"]]
    warnings = list(dict.fromkeys(warning for record in records for warning in record["warnings"]))
    kinds = sorted({record["image_kind"] or "no known kind" for record in records})
    if len(kinds) > 1:
        warnings.append(KINDS_WARNING.format(" and ".join(kinds)))
    times = [record["elapsed_ms"] for record in records]
    return {
        **first,
        "detections": sorted(rows, key=itemgetter("score"), reverse=True),
        "elapsed_ms": None if None in times else round(sum(times), 1),
        "warnings": warnings,
        "tiling": {
            **first["tiling"],
            "levels": [
                {**own[0], "tiles": sum(level["tiles"] for level in own)}
                for own in zip(*(tiling["levels"] for tiling in tilings), strict=True)
            ],
            "region": _union([tiling["region"] for tiling in tilings]),
            "skipped_tiles": sum(tiling["skipped_tiles"] for tiling in tilings),
            "coverage": round(sum(covered) / max(sum(areas), 1), 4),
            "shard": None,
        },
    }


def _union(regions: Sequence[Sequence[int]]) -> list[int]:
    """Return the smallest region with all regions, as left, top, width, height."""
    left, top = (min(region[axis] for region in regions) for axis in (0, 1))
    right, bottom = (max(region[axis] + region[axis + 2] for region in regions) for axis in (0, 1))
    return [left, top, right - left, bottom - top]
