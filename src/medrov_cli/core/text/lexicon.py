"""Lexicon of class names: synonyms, and modalities that can show the class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from medrov_cli.core.base.documents import read_toml_asset
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.text.name_forms import name_keys, plain_name, plain_spelling

LEXICON = "synonyms.toml"
"""Name of the asset."""

BROADER_NAMES = "broader_names.toml"
"""Name of the asset with what the classes are kinds of."""


@dataclass(frozen=True, slots=True)
class LexiconEntry:
    """One class of the lexicon.

    Attributes
    ----------
    name
        The usual name, lower case.
    synonyms
        Other names of the class.
    modalities
        Modalities that can show the class.
    """

    name: str
    synonyms: tuple[str, ...]
    modalities: tuple[Modality, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the name, then its synonyms."""
        return (self.name, *self.synonyms)


@cache
def lexicon() -> tuple[LexiconEntry, ...]:
    """Return every class of the lexicon, in the order of the file."""
    document = read_toml_asset(LEXICON)
    return tuple(
        LexiconEntry(
            name, tuple(fields["synonyms"]), tuple(Modality(value) for value in fields["modalities"])
        )
        for name, fields in document.items()
    )


def synonyms_of(name: str) -> tuple[str, ...]:
    """Return the synonyms of a class name; empty if it is not in the lexicon.

    Parameters
    ----------
    name
        A name or a synonym of the lexicon, in upper or lower case; ``a/b`` are two names.
    """
    parts = [plain_name(part) for part in name.split("/")]
    found = (text for part in parts if part in _index() for text in _index()[part].texts)
    return tuple(dict.fromkeys(text for text in found if text not in parts))


def modalities_of(name: str) -> tuple[Modality, ...]:
    """Return the modalities that can show a class; empty if it is not in the lexicon.

    Parameters
    ----------
    name
        As for `synonyms_of`.
    """
    parts = [plain_name(part) for part in name.split("/")]
    shown = {modality for part in parts if part in _index() for modality in _index()[part].modalities}
    return tuple(modality for modality in Modality if modality in shown)


def broader_names_of(name: str) -> tuple[str, ...]:
    """Return the broader names of a class, "tumor" for "brain tumor"; empty if none is known.

    Parameters
    ----------
    name
        As for `synonyms_of`.
    """
    parts = [plain_name(part) for part in name.split("/")]
    own = {text for part in parts for text in (part, *(_index()[part].texts if part in _index() else ()))}
    found = (broader for broader, members in _broader().items() if not own.isdisjoint(members))
    return tuple(broader for broader in found if broader not in own)


def broader_name(text: str) -> str | None:
    """Return the broader name of which a text is a form, "tumor" for "Tumours"; null if it is none."""
    return next((_broader_forms()[key] for key in name_keys(text) if key in _broader_forms()), None)


@cache
def _broader() -> Mapping[str, frozenset[str]]:
    return {name: frozenset(fields["covers"]) for name, fields in _broader_document().items()}


@cache
def _broader_forms() -> Mapping[str, str]:
    return {
        plain_spelling(form): name
        for name, fields in _broader_document().items()
        for form in (name, *fields["synonyms"])
    }


@cache
def _broader_document() -> Mapping[str, Mapping[str, Sequence[str]]]:
    return read_toml_asset(BROADER_NAMES)


@cache
def _index() -> Mapping[str, LexiconEntry]:
    return {text: entry for entry in lexicon() for text in entry.texts}
