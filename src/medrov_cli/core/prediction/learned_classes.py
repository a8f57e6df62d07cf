"""Learned classes of one or several files, and their place beside the classes of texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.prediction.adapted_weights import NetworkColumns
from medrov_cli.core.prediction.classes import ClassList, list_names
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.boxes import BoolArray, IntArray
from medrov_cli.core.records.regions import RegionColumns
from medrov_cli.core.records.score_maps import ClassCalibration
from medrov_cli.core.settings.groups import SelectionSettings
from medrov_cli.core.weights.adapter import Adapter
from medrov_cli.core.weights.learned_file import LearnedFile, read_learned


class LearnedNetwork(Protocol):
    """Model file to which learned classes belong; a part of ``ModelFile``."""

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def content_sha256(self) -> str: ...  # noqa: D102
    @property
    def exported(self) -> object | None: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class LearnedClasses:
    """Classes that are vectors, with their thresholds.

    Attributes
    ----------
    names
        Unique names, without regard to case.
    columns
        Vectors of the classes, in the order of the names.
    calibrations
        Threshold and score map of each class.
    sha256
        SHA-256 of vectors and calibrations.
    origins
        Name of the file of each class, for messages.
    imgsz
        Sides of the model input of the fits, in pixels.
    adapters
        Adapters, each with the number of its classes; these are the last classes, in this order.
    """

    names: tuple[str, ...]
    columns: RegionColumns
    calibrations: tuple[ClassCalibration, ...]
    sha256: str
    origins: tuple[str, ...]
    imgsz: tuple[int, ...] = ()
    adapters: tuple[tuple[Adapter, int], ...] = ()

    @classmethod
    def read(cls, paths: Sequence[Path], network: LearnedNetwork) -> LearnedClasses | None:
        """Read files of learned classes; null without a path.

        Raises
        ------
        MedrovError
            ``USAGE`` if a name occurs twice, or for an exported model; ``WEIGHTS_UNTRUSTED`` if a file is of
            another network; the codes of :func:`read_learned`.
        """
        if not paths:
            return None
        if network.exported is not None:
            raise usage_error(
                f"--learned: {network.path.name} has fixed classes",
                "Export the weights again with --learned, or give the .safetensors weights.",
            )
        files = [read_learned(path) for path in paths]
        for file in files:
            _require_network(file, network)
        return cls.join([cls._of_file(file) for file in files])

    @classmethod
    def read_for_each(
        cls, paths: Sequence[Path], networks: Sequence[LearnedNetwork]
    ) -> list[LearnedClasses | None]:
        """Read files of learned classes for the network that each belongs to; null for one without a file.

        Raises
        ------
        MedrovError
            As :meth:`read`; also for a file that belongs to none of the networks.
        """
        owners = [read_learned(path).info.network.content_sha256 for path in paths]
        for path, owner in zip(paths, owners, strict=True):
            if all(network.content_sha256 != owner for network in networks):
                cls.read([path], networks[0])
        return [
            cls.read(
                [path for path, owner in zip(paths, owners, strict=True) if owner == network.content_sha256],
                network,
            )
            for network in networks
        ]

    @classmethod
    def _of_file(cls, file: LearnedFile) -> LearnedClasses:
        return cls(
            file.names,
            RegionColumns(file.kernels, file.constants, file.classes),
            tuple(own.calibration for own in file.info.classes),
            file.sha256,
            (file.path.name,) * len(file.names),
            (file.info.network.imgsz,),
            () if file.adapter is None else ((file.adapter, len(file.names)),),
        )

    @classmethod
    def join(cls, parts: Sequence[LearnedClasses]) -> LearnedClasses:
        """Return the classes of several files, or of files and of examples; those with an adapter are last.

        Raises
        ------
        MedrovError
            ``USAGE`` if a name occurs twice.
        """
        parts = sorted(parts, key=lambda part: bool(part.adapters))
        names = [name for part in parts for name in part.names]
        seen: dict[str, str] = {}
        for name, origin in zip(names, (own for part in parts for own in part.origins), strict=True):
            if name.casefold() in seen:
                raise usage_error(
                    f"{name!r} is learned twice: in {seen[name.casefold()]} and {origin}",
                    "Leave one of them out, or learn the class again under another name.",
                )
            seen[name.casefold()] = origin
        firsts = np.cumsum([0, *(len(part.names) for part in parts[:-1])])
        columns = RegionColumns(
            np.concatenate([part.columns.kernels for part in parts], 1),
            np.concatenate([part.columns.constants for part in parts], 1),
            np.concatenate([part.columns.classes + first for part, first in zip(parts, firsts, strict=True)]),
        )
        digest = hashlib.sha256("\n".join(part.sha256 for part in parts).encode("ascii")).hexdigest()
        return cls(
            tuple(names),
            columns,
            tuple(own for part in parts for own in part.calibrations),
            digest if len(parts) > 1 else parts[0].sha256,
            tuple(seen.values()),
            tuple(sorted({size for part in parts for size in part.imgsz})),
            tuple(own for part in parts for own in part.adapters),
        )

    def open_columns(self, selection: SelectionSettings, *, alone: bool) -> NetworkColumns:
        """Return the columns for the engines, with the lowest threshold as their floor."""
        columns = replace(self.columns, floor=float(self.thresholds(selection).min()), alone=alone)
        return NetworkColumns.split(columns, self.adapters)

    def thresholds(self, selection: SelectionSettings) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the lowest raw score of each class, float64, (classes,)."""
        conf = selection.conf
        if conf is None:
            return np.array([own.threshold for own in self.calibrations])
        if selection.raw_scores:
            return np.full(len(self.names), conf)
        return np.array([own.raw_threshold(conf) for own in self.calibrations])

    @property
    def own_imgsz(self) -> int | None:
        """Return the side of the model input of all fits, in pixels; null if they differ."""
        return self.imgsz[0] if len(self.imgsz) == 1 else None

    def warnings(self, imgsz: int) -> tuple[str, ...]:
        """Return a warning if the model input has another size than in the fit."""
        others = [str(size) for size in self.imgsz if size != imgsz]
        said = f"learned at {', '.join(others)} px, searched at {imgsz} px: thresholds may not hold"
        return (said,) if others else ()


@dataclass(frozen=True, eq=False)
class JoinedClasses:
    """Classes of texts and learned classes as columns of one predictor.

    A learned class replaces a text of its name. The text still guides the attention of the network, so that
    the other texts keep their scores.

    Attributes
    ----------
    names
        Names of the classes.
    columns
        int64, (classes,): column of each class in the engine, which has all texts first.
    is_learned
        bool, (classes,).
    replaced
        Names of the texts that a learned class replaces.
    """

    names: tuple[str, ...]
    columns: IntArray
    is_learned: BoolArray
    replaced: tuple[str, ...]

    @classmethod
    def join(
        cls, texts: Sequence[Sequence[str]], learned: LearnedClasses, *, keeps_order: bool
    ) -> JoinedClasses:
        """Join texts and learned classes.

        Parameters
        ----------
        texts
            Name and synonyms of each text class of the engine.
        learned
            The learned classes.
        keeps_order
            Whether the names are those of the texts, in their order (classes of a dataset). Otherwise the
            learned classes follow the texts that are not replaced.
        """
        own = {name.casefold(): row for row, name in enumerate(learned.names)}
        rows = [own.get(group[0].casefold()) for group in texts]
        entries = [
            (group[0], number if row is None else len(texts) + row, row is not None)
            for number, (group, row) in enumerate(zip(texts, rows, strict=True))
        ]
        replaced = tuple(name for name, _, is_learned in entries if is_learned)
        if not keeps_order:
            entries = [entry for entry in entries if not entry[2]]
            entries += [(name, len(texts) + row, True) for row, name in enumerate(learned.names)]
        names, columns, is_learned = zip(*entries, strict=True)
        return cls(tuple(names), np.array(columns), np.array(is_learned), replaced)

    def classes(self, text: ClassList, learned: LearnedClasses) -> ClassList:
        """Return the list of classes; ``text`` has the classes of the texts."""
        count = len(text.names)
        rows = [column if column < count else None for column in self.columns.tolist()]
        return replace(
            text,
            names=self.names,
            synonyms=tuple(() if row is None else text.synonyms[row] for row in rows),
            modalities=tuple(frozenset() if row is None else text.modalities[row] for row in rows),
            kinds=tuple(() if row is None else text.kinds[row] for row in rows) if text.kinds else (),
            learned=self.is_learned,
            learned_sha256=learned.sha256,
        )

    def scoring(self, text: Scoring, learned: LearnedClasses, selection: SelectionSettings) -> Scoring:
        """Return thresholds, calibration and box maps; ``text`` has those of the texts."""
        thresholds = np.concatenate((text.thresholds, learned.thresholds(selection)))[self.columns]
        maps = None
        if text.maps is not None:
            every = (*text.maps, *learned.calibrations)
            maps = tuple(every[column] for column in self.columns.tolist())
        said = (f"learned, not searched by text: {list_names(self.replaced)}",) if self.replaced else ()
        of_texts = text.box_maps or (None,) * len(text.thresholds)
        by_column = (*of_texts, *(own.box_map for own in learned.calibrations))
        box_maps = tuple(by_column[column] for column in self.columns.tolist())
        return Scoring(thresholds, maps, (*text.warnings, *said), lowest=text.floor, box_maps=box_maps)


def _require_network(file: LearnedFile, network: LearnedNetwork) -> None:
    own = file.info.network
    if own.content_sha256 != network.content_sha256:
        recipe = file.info.recipe.get("examples") or "the same examples"
        raise MedrovError(
            ErrorCode.WEIGHTS_UNTRUSTED,
            f"{file.path} was learned with the network {own.name!r}, not with {network.path.name}",
            f"Give its --weights, or learn the classes again: medrov learn {recipe} --weights "
            f"{network.path.name}.",
        )
