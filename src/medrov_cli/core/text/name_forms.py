"""Forms of a class name: British and American spelling, hyphens and accents, plurals."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection

_PLURALS = (
    *(("ies", "y"), ("ses", "sis"), ("es", ""), ("s", "")),
    *(("ae", "a"), ("i", "us"), ("ia", "ium"), ("a", "on"), ("a", "um")),
)
"""Endings of plurals in the names of the field, and of their singulars."""

_SPELLINGS = tuple(
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r"[ao]+e|\u00e6|\u0153", "e"),
        (r"ou?r(s?)\b", r"or\1"),
        (r"([bt])re(s?)\b", r"\1er\2"),
        (r"leuc", "leuk"),
        (r"sulph", "sulf"),
        (r"isation", "ization"),
        (r"\bgrey", "gray"),
        (r"\bdisk", "disc"),
    )
)
"""Patterns of British (and other) spellings, and the spelling that stands for both."""

_MARKS = re.compile(r"['\u2019]s?\b")
_POSITIVE, _NEGATIVE = re.compile(r"\+"), re.compile(r"(?<=\w)[-\u2212](?=\s|$)")
"""Signs after a word, as in "CD3+" and "CD3- cell"."""

_SEPARATORS = re.compile(r"(?:[^\w<>=\u2264\u2265%]|_)+")
"""What may stand between words; signs that change the meaning of a number stay."""

_NUMBERS = re.compile(r"\d+")

CLOSE = 0.85
"""Lowest similarity of a name that a mistyped one may mean (`difflib.SequenceMatcher`)."""


def plain_name(text: str) -> str:
    """Return a name in lower case with single spaces."""
    return " ".join(text.lower().split())


def plain_spelling(text: str) -> str:
    """Return what spellings of one name share: "retinal hemorrhage" for "Retinal_Haemorrhage".

    It is a key, not a name: words that it changes wrongly, it changes always in the same way.
    """
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    signed = _NEGATIVE.sub(" negative ", _POSITIVE.sub(" positive ", _MARKS.sub("", bare)))
    plain = _SEPARATORS.sub(" ", signed).strip()
    for pattern, spelling in _SPELLINGS:
        plain = pattern.sub(spelling, plain)
    return plain


def singular_forms(text: str) -> tuple[str, ...]:
    """Return what a plural may be the plural of, "red blood cell" for "Red blood cells"; empty for others."""
    plain = plain_name(text)
    return tuple(
        plain.removesuffix(plural) + singular
        for plural, singular in _PLURALS
        if plain.endswith(plural) and len(plain) > len(plural) + 1 and not plain.endswith("ss")
    )


def name_keys(text: str) -> tuple[str, ...]:
    """Return the spelling keys that a name may be known by: its own, and those of its singulars."""
    return tuple(dict.fromkeys(map(plain_spelling, (text, *singular_forms(text)))))


def close_name(text: str, known: Collection[str]) -> str | None:
    """Return the known name that a mistyped one may mean; null if none is close.

    Parameters
    ----------
    text
        A name that is not known.
    known
        Known names, in lower case.
    """
    plain = plain_name(text)
    numbers = _NUMBERS.findall(plain)
    like = [name for name in known if _NUMBERS.findall(name) == numbers]  # "l6 vertebra" is no "l5 vertebra"
    found = difflib.get_close_matches(plain, like, n=1, cutoff=CLOSE)
    return found[0] if found else None
