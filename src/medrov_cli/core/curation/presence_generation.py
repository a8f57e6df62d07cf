"""Generated presence table of a dataset, with the reason of each cell, for manual correction.

The first matching rule gives the value:

1. The source annotates the class: 1.
2. The source and the class are in the table of Omnis: its value (a 1 there, without annotations here, is 0).
3. The source annotates a subtype, a supertype or a synonym of the class (``left kidney`` is a subtype of
   ``kidney``, ``optic nerve tumor`` of ``tumor``): 0.
4. Another source of the same modality annotates it: 0.
5. The class is in the lexicon: 0 if the modality can show it, else -1.
6. It is annotated only in modalities of another scale (cells, skin, fundus, mucosa, inner body): -1.
7. Otherwise: 0.

The lexicon has no body regions, so that a nerve of the neck has the value 0 in an abdominal CT. This is the
safe value: 0 excludes the class from the negatives, while a wrong -1 gives wrong negatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.datasets.omnis import find_column, omnis_presence
from medrov_cli.core.datasets.presence import ANNOTATED, IMPOSSIBLE, POSSIBLE
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.text.lexicon import modalities_of, synonyms_of

_INNER = frozenset({Modality.CT, Modality.MRI, Modality.XRAY, Modality.ULTRASOUND})
_CELLS = frozenset({Modality.HISTOPATHOLOGY, Modality.MICROSCOPY})
_SCALES: tuple[frozenset[Modality], ...] = (
    _INNER,
    _CELLS,
    *(frozenset({m}) for m in Modality if m not in _INNER | _CELLS),
)
"""Groups of modalities of one scale; each of the three surface modalities is a group of its own."""


class Reason(StrEnum):
    """Reason of a cell's value."""

    ANNOTATED = "annotated"
    OMNIS = "omnis"
    RELATED = "related_class"
    SAME_MODALITY = "same_modality"
    LEXICON = "lexicon"
    OTHER_SCALE = "other_scale"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Annotated classes and modality of a source."""

    name: str
    modality: Modality
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PresenceCell:
    """Cell of the table: 1, 0 or -1, and its reason."""

    source: str
    class_name: str
    value: int
    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class GeneratedPresence:
    """Generated table.

    Attributes
    ----------
    sources, classes
        Rows and columns.
    cells
        Cells, row by row.
    """

    sources: tuple[str, ...]
    classes: tuple[str, ...]
    cells: tuple[PresenceCell, ...]


def generate_presence(
    facts: Sequence[SourceFacts],
    classes: Sequence[str],
    synonyms: Mapping[str, Sequence[str]] | None = None,
) -> GeneratedPresence:
    """Return the generated table; the module docstring lists the rules.

    Parameters
    ----------
    classes
        All classes of the dataset.
    synonyms
        Synonyms of classes, in addition to those of the lexicon.
    """
    names = {name: _names_of(name, synonyms or {}) for name in classes}
    cells = []
    for own in facts:
        for name in classes:
            value, reason, text = _decide(own, name, facts, names)
            cells.append(PresenceCell(own.name, name, value, reason, text))
    return GeneratedPresence(tuple(own.name for own in facts), tuple(classes), tuple(cells))


Decision = tuple[int, Reason, str]


def _decide(
    own: SourceFacts, name: str, facts: Sequence[SourceFacts], names: Mapping[str, frozenset[str]]
) -> Decision:
    if name in own.classes:
        return ANNOTATED, Reason.ANNOTATED, "the source annotates it"
    return (
        _by_omnis(own, name)
        or _by_related(own, name, names)
        or _by_modality(own, name, facts)
        or _by_lexicon(own, names[name])
        or _by_scale(own, name, facts)
        or (POSSIBLE, Reason.UNKNOWN, "no information: 0 is the safe value")
    )


def _by_omnis(own: SourceFacts, name: str) -> Decision | None:
    datasets, columns, table = omnis_presence()
    if own.name not in datasets:
        return None
    try:
        column = find_column(Path(), name, columns)
    except MedrovError:  # the class is not in the table
        return None
    value = int(table[datasets.index(own.name), column])
    text = f"the Omnis table has {value} for {own.name} and {columns[column]!r}"
    return min(value, POSSIBLE), Reason.OMNIS, text


def _by_related(own: SourceFacts, name: str, names: Mapping[str, frozenset[str]]) -> Decision | None:
    for annotated in own.classes:
        # Subtypes follow from class names only: by synonyms ("heart muscle") a myocardium would be a muscle
        # cell.
        kinds = any(
            a.endswith(f" {b}") or b.endswith(f" {a}") for a in _parts(name) for b in _parts(annotated)
        )
        if kinds or names[name] & names[annotated]:
            return (
                POSSIBLE,
                Reason.RELATED,
                f"the source annotates {annotated!r}, a synonym or a subtype",
            )
    return None


def _by_modality(own: SourceFacts, name: str, facts: Sequence[SourceFacts]) -> Decision | None:
    found = [o.name for o in facts if o.modality == own.modality and name in o.classes]
    if not found:
        return None
    return (
        POSSIBLE,
        Reason.SAME_MODALITY,
        f"{found[0]} annotates it, and has the same modality {own.modality.value}",
    )


def _by_lexicon(own: SourceFacts, names: frozenset[str]) -> Decision | None:
    shown = {modality for name in names for modality in modalities_of(name)}
    if not shown:
        return None
    where = ", ".join(m.value for m in Modality if m in shown)
    value = POSSIBLE if own.modality in shown else IMPOSSIBLE
    return value, Reason.LEXICON, f"the lexicon lists it for {where}"


def _by_scale(own: SourceFacts, name: str, facts: Sequence[SourceFacts]) -> Decision | None:
    seen = {o.modality for o in facts if name in o.classes}
    scale = next(scale for scale in _SCALES if own.modality in scale)
    if not seen or seen & scale:
        return None
    where = ", ".join(m.value for m in Modality if m in seen)
    return IMPOSSIBLE, Reason.OTHER_SCALE, f"it is annotated only in {where}, which show another scale"


def _names_of(name: str, synonyms: Mapping[str, Sequence[str]]) -> frozenset[str]:
    texts = (*synonyms.get(name, ()), *synonyms_of(name))
    return _parts(name) | {_plain(text) for text in texts}


def _parts(name: str) -> frozenset[str]:
    return frozenset(_plain(part) for part in name.split("/"))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
