"""Class map of ``medrov data merge``: renamed and dropped classes.

::

    rename: {rbc: red blood cell}       # in every source
    drop: [artefact]
    synonyms: {red blood cell: rbc/erythrocyte}
    sources:                            # optional: in one source alone; counts more than the above
      busi: {rename: {tumor: breast tumor}, drop: [normal]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.datasets.source_set import OpenSource
from medrov_cli.core.datasets.sources import invalid
from medrov_cli.core.datasets.yaml_files import read_yaml

_FORM = "A class map has 'rename: {old: new}', 'drop: [name]', 'synonyms: {name: a/b}' and 'sources'."


@dataclass(frozen=True, slots=True)
class Rules:
    """New names of classes, in all sources or in one; null for a dropped class."""

    new_name: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClassMap:
    """Class map of a merge.

    Attributes
    ----------
    general
        Rules of all sources.
    by_source
        Rules by name of the source.
    synonyms
        Synonyms by class name after renaming.
    """

    general: Rules = field(default_factory=Rules)
    by_source: Mapping[str, Rules] = field(default_factory=dict)
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def new_name(self, source: str, name: str) -> str | None:
        """Return the new name of a class; null if it is dropped. A name is mapped once."""
        own = self.by_source.get(source, Rules()).new_name
        return own[name] if name in own else self.general.new_name.get(name, name)


def read_class_map(path: Path, sources: Sequence[OpenSource]) -> ClassMap:
    """Read a class map and check it against the sources.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID`` if it cannot be read, names an absent source or class, both renames and drops a
        class, or leaves a source without classes.
    """
    try:
        document = read_yaml(path)
    except OSError as error:
        raise invalid(f"{path}: {error.strerror or error}", "Give the path of a class map.") from error
    except DocumentError as error:
        raise invalid(f"{path} {error}", _FORM) from error
    _check_keys(path, document, {"rename", "drop", "synonyms", "sources"})
    known = {source.name: source.classes for source in sources}
    everywhere = tuple(dict.fromkeys(name for own in known.values() for name in own))
    by_source = {}
    for name, rules in _mapping(path, document, "sources").items():
        if name not in known:
            raise invalid(f"{path}: the dataset has no source {name!r}", f"Sources: {', '.join(known)}.")
        _check_keys(path, rules, {"rename", "drop"})
        by_source[str(name)] = _rules(path, rules, known[name], f"source {name!r}")
    general = _rules(path, document, everywhere, "no source")
    made = ClassMap(general, by_source, _synonyms(path, document))
    _check_result(path, made, known)
    return made


def _rules(path: Path, document: Mapping[str, Any], known: Sequence[str], whose: str) -> Rules:
    renamed = _mapping(path, document, "rename")
    dropped = document.get("drop") or []
    if not isinstance(dropped, list):
        raise invalid(f"{path}: 'drop' is not a list", _FORM)
    for name in (*renamed, *dropped):
        if name not in known:
            has = "has a class" if whose == "no source" else "has no class"
            raise invalid(f"{path}: {whose} {has} {name!r}", f"Known classes: {', '.join(known)}.")
    both = sorted(set(renamed) & set(dropped))
    if both:
        raise invalid(f"{path}: {both[0]!r} is both renamed and dropped", "Keep one of the two.")
    for old, new in renamed.items():
        if not isinstance(new, str) or not new.strip():
            raise invalid(f"{path}: {old!r} is renamed to an empty name", _FORM)
    return Rules({**{old: new.strip() for old, new in renamed.items()}, **dict.fromkeys(dropped)})


def _synonyms(path: Path, document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, given in _mapping(path, document, "synonyms").items():
        parts = given if isinstance(given, list) else str(given).split("/")
        found[str(name)] = tuple(str(part).strip() for part in parts if str(part).strip())
    return found


def _check_result(path: Path, made: ClassMap, known: Mapping[str, Sequence[str]]) -> None:
    left = set()
    for source, classes in known.items():
        own = {made.new_name(source, name) for name in classes} - {None}
        if not own:
            raise invalid(
                f"{path} drops every class of the source {source!r}", "Leave the source out, or keep a class."
            )
        left |= own
    for name in made.synonyms:
        if name not in left:
            raise invalid(
                f"{path}: 'synonyms' names {name!r}, which no source has after the renaming",
                f"Classes: {', '.join(sorted(map(str, left)))}.",
            )


def _mapping(path: Path, document: Mapping[str, Any], key: str) -> Mapping[Any, Any]:
    value = document.get(key) or {}
    if not isinstance(value, dict):
        raise invalid(f"{path}: {key!r} is not a mapping", _FORM)
    return value


def _check_keys(path: Path, document: Any, known: set[str]) -> None:
    if not isinstance(document, dict):
        raise invalid(f"{path} is not a class map", _FORM)
    unknown = sorted(map(str, set(document) - known))
    if unknown:
        raise invalid(f"{path}: unknown key {unknown[0]!r}", _FORM)
