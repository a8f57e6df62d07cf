"""Broader names as prompts: "tumor" is searched as the kinds of it that the weights know.

A network that was trained on "brain tumor" and "liver tumor" has an embedding of "tumor", but its scores are
worse than the highest score of the kinds (docs/results.md). Another form of a known name, a plural or a
British spelling, is searched as its class. Names that the weights know stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.prediction.classes import ClassList, list_names
from medrov_cli.core.prediction.column_engine import EngineLike
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.boxes import BoolArray, IntArray
from medrov_cli.core.records.detections import NO_CANDIDATE, Candidates
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.score_maps import ClassCalibration
from medrov_cli.core.settings.groups import SelectionSettings
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.text.embedding import embed_prompts
from medrov_cli.core.text.lexicon import broader_name, broader_names_of
from medrov_cli.core.text.name_forms import name_keys, plain_spelling
from medrov_cli.core.weights.metadata import ClassEntry, WeightsMetadata

_LEAST_SCORE = 1e-6
"""Threshold of a broader name: kinds below their own thresholds are no candidates."""

_AS_IT_IS = ClassCalibration("", _LEAST_SCORE, 0.0, (0.0, 1.0), (0.0, 1.0))
"""Score map of a broader name: the scores of its kinds are calibrated before the highest is taken."""


@dataclass(frozen=True, eq=False)
class BroaderPrompts:
    """Columns of an engine for classes of which some are broader names.

    Attributes
    ----------
    texts
        Name and synonyms of each column.
    owners
        int64, (columns,), ascending: class of each column.
    kinds
        Classes of the weights that stand for each class; empty: the class has one column, its own.
    """

    texts: tuple[tuple[str, ...], ...]
    owners: IntArray
    kinds: tuple[tuple[ClassEntry, ...], ...]

    @classmethod
    def find(cls, names: Sequence[Sequence[str]], metadata: WeightsMetadata) -> BroaderPrompts | None:
        """Return the columns; null if no class is a broader name that the weights do not know.

        Parameters
        ----------
        names
            Of each class: its name and synonyms.
        metadata
            Of the weights, with their vocabulary.
        """
        known = metadata.entries_by_text()
        is_known = [not known.keys().isdisjoint(map(str.casefold, texts)) for texts in names]
        if all(is_known):
            return None
        by_key: dict[str, set[str]] = {}
        for text, entries in known.items():
            for key in name_keys(text):
                by_key.setdefault(key, set()).update(entry.name for entry in entries)
        kinds = [
            () if is_own else _kinds(texts, metadata.vocabulary, by_key)
            for is_own, texts in zip(is_known, names, strict=True)
        ]
        if not any(kinds):
            return None
        columns = [
            (class_id, texts)
            for class_id, (own, entries) in enumerate(zip(names, kinds, strict=True))
            for texts in ([(entry.name, *entry.synonyms) for entry in entries] or [tuple(own)])
        ]
        owners = np.array([class_id for class_id, _ in columns], dtype=np.int64)
        return cls(tuple(texts for _, texts in columns), owners, tuple(kinds))

    @property
    def is_broader(self) -> BoolArray:
        """Return which classes are broader names, bool, (classes,)."""
        return np.array([bool(kinds) for kinds in self.kinds], dtype=np.bool_)

    def embeddings(self, own: Float32Array, *, text_encoder: str, offline: bool) -> Float32Array:
        """Return the embedding of each column, float32, (columns, 512).

        Parameters
        ----------
        own
            Embeddings of the classes, float32, (classes, 512).
        text_encoder, offline
            See :func:`medrov_cli.core.text.embedding.embed_prompts`.
        """
        found = own[self.owners]
        of_kinds = np.flatnonzero(self.is_broader[self.owners])
        texts = [tuple(dict.fromkeys(self.texts[column])) for column in of_kinds]
        prompts = [Prompt(group[0], group) for group in texts]
        found[of_kinds] = embed_prompts(prompts, encoder=text_encoder, offline=offline)
        return found

    def classes(self, own: ClassList) -> ClassList:
        """Return the classes with their kinds, and with the modalities of these."""
        modalities = tuple(
            frozenset(modality for entry in kinds for modality in entry.modalities) if kinds else seen
            for kinds, seen in zip(self.kinds, own.modalities, strict=True)
        )
        names = tuple(tuple(entry.name for entry in kinds) for kinds in self.kinds)
        return replace(own, modalities=modalities, kinds=names)

    def scoring(self, columns: Scoring, names: Sequence[str], learned: Collection[str] = ()) -> Scoring:
        """Return thresholds and score maps of the classes from those of the columns.

        A warning names the kinds of each class, except those of learned classes.
        """
        replaced = set(map(str.casefold, learned))
        firsts = np.searchsorted(self.owners, np.arange(len(self.kinds)))
        thresholds = np.where(self.is_broader, _LEAST_SCORE, columns.thresholds[firsts])
        maps = columns.maps
        if maps is not None:
            maps = tuple(
                _AS_IT_IS if is_broader else maps[first]
                for is_broader, first in zip(self.is_broader, firsts.tolist(), strict=True)
            )
        said = tuple(
            f"{name!r} is searched as {list_names([entry.name for entry in kinds])}"
            for name, kinds in zip(names, self.kinds, strict=True)
            if kinds and name.casefold() not in replaced
        )
        return Scoring(thresholds, maps, (*columns.warnings, *said), lowest=columns.floor)


class BroaderEngine(EngineLike):
    """An engine with one column for each class; the score of a broader name is the highest of its kinds.

    Columns after those of the texts (learned classes) are left as they are. See
    :class:`medrov_cli.core.engines.interface.Engine`.

    Parameters
    ----------
    engine
        The engine of the columns.
    prompts
        Columns and classes.
    columns
        Threshold and score map of each column.
    """

    def __init__(self, engine: Engine, prompts: BroaderPrompts, columns: Scoring) -> None:
        super().__init__(engine)
        self._engine = engine
        self._firsts = np.searchsorted(prompts.owners, np.arange(len(prompts.kinds)))
        self._of_kinds = np.flatnonzero(prompts.is_broader[prompts.owners])
        self._columns = columns

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image; see the interface."""
        count = len(self._columns.thresholds)
        found = []
        for candidates in self._engine.infer(images_rgb, floor):
            texts = candidates.scores[:, :count].copy()
            for column in self._of_kinds.tolist():
                own = texts[:, column]
                is_candidate = own >= self._columns.thresholds[column]
                if self._columns.maps is not None:
                    own[:] = self._columns.maps[column].apply(own)
                own[~is_candidate] = NO_CANDIDATE
            scores = np.maximum.reduceat(texts, self._firsts, axis=1)
            learned = candidates.scores[:, count:]
            found.append(replace(candidates, scores=np.concatenate((scores, learned), 1)))
        return found


@dataclass(frozen=True, eq=False)
class NamedColumns:
    """Columns of an engine for some classes, and their classes.

    Attributes
    ----------
    embeddings
        float32, (columns, 512), L2 norm 1; null where the engine has the classes already.
    classes, scoring
        Classes, with their thresholds and score maps.
    count
        Number of columns.
    prompts, columns
        Broader names, and thresholds and score maps of the columns; null: each class is a column.
    """

    embeddings: Float32Array | None
    classes: ClassList
    scoring: Scoring
    count: int
    prompts: BroaderPrompts | None = None
    columns: Scoring | None = None

    def wrap(self, engine: Engine) -> Engine:
        """Return an engine of the classes around one of the columns."""
        if self.prompts is None or self.columns is None:
            return engine
        return BroaderEngine(engine, self.prompts, self.columns)


def name_columns(
    classes: ClassList,
    embeddings: Float32Array | None,
    metadata: WeightsMetadata,
    selection: SelectionSettings,
    *,
    texts: Sequence[Sequence[str]],
    offline: bool,
    learned: Collection[str] = (),
) -> NamedColumns:
    """Return the columns of requested classes: one each, or those of the kinds of a broader name.

    Parameters
    ----------
    classes
        The classes.
    embeddings
        Their embeddings, float32, (classes, 512); null where the engine has the classes already.
    metadata
        Of the weights.
    selection
        Lowest score, calibration, and whether broader names are taken literally.
    texts
        Name and synonyms of each class.
    offline
        Whether the network is forbidden.
    learned
        Names of learned classes, which replace texts: no warning is about them.
    """
    prompts = None
    if embeddings is not None and classes.asked and not selection.literal:
        prompts = BroaderPrompts.find(texts, metadata)
    named = texts if prompts is None else prompts.texts
    scoring = Scoring.from_metadata(
        named, metadata, conf=selection.conf, raw_scores=selection.raw_scores, learned=learned
    )
    if prompts is None or embeddings is None:
        return NamedColumns(embeddings, classes, scoring, len(named))
    embeddings = prompts.embeddings(embeddings, text_encoder=classes.text_encoder, offline=offline)
    found = prompts.classes(classes)
    own = prompts.scoring(scoring, classes.names, learned)
    return NamedColumns(embeddings, found, own, len(named), prompts, scoring)


def _kinds(
    texts: Sequence[str], vocabulary: Sequence[ClassEntry], by_key: Mapping[str, set[str]]
) -> tuple[ClassEntry, ...]:
    """Return the classes of a vocabulary that stand for a class that it does not contain.

    They are the class of which a text is another form, a plural or a British spelling; else the default ones
    of those below the broader names among the texts, or all of these if none is one. ``by_key`` has the names
    of the classes of each spelling key.
    """
    broader = {name for name in map(broader_name, texts) if name is not None}
    keys = set(map(plain_spelling, broader)).union(*map(name_keys, texts))
    own = set[str]().union(*(by_key.get(key, ()) for key in keys))
    if own or not broader:
        return tuple(entry for entry in vocabulary if entry.name in own)
    below = [entry for entry in vocabulary if not broader.isdisjoint(broader_names_of(entry.name))]
    return tuple([entry for entry in below if entry.is_default] or below)
