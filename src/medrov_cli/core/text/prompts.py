"""The classes that a user asks for, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.errors import ErrorCode, MedrovError

_HINT = 'Write classes as "lung nodule, colon polyp/polyp": commas between classes, slashes between synonyms.'


@dataclass(frozen=True, slots=True)
class Prompt:
    """One class that is searched for.

    Attributes
    ----------
    name
        As given, with plain spaces; synonyms included: ``colon polyp/polyp``.
    synonyms
        The texts whose embeddings are averaged; the name alone where there is one text only.
    """

    name: str
    synonyms: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Prompt:
        """Return the prompt of one class, ``a`` or ``a/b``.

        Raises
        ------
        MedrovError
            ``USAGE`` if a part is empty, given twice, or has control characters.
        """
        parts = tuple(" ".join(part.split()) for part in text.split("/"))
        if not all(parts):
            what = f"class {text.strip()!r} has an empty synonym" if any(parts) else "a class has no name"
            raise MedrovError(ErrorCode.USAGE, what, _HINT)
        if not all(part.isprintable() for part in parts):
            raise MedrovError(ErrorCode.USAGE, f"class {text!r} has control characters", _HINT)
        if len({part.casefold() for part in parts}) < len(parts):
            raise MedrovError(ErrorCode.USAGE, f"class {text.strip()!r} names a synonym twice", _HINT)
        return cls("/".join(parts), parts)


def parse_classes(text: str) -> tuple[Prompt, ...]:
    """Return the prompts of a comma-separated list, in its order.

    Raises
    ------
    MedrovError
        ``USAGE`` if a class is empty or given twice; the message names it.
    """
    return _distinct([Prompt.parse(part) for part in text.split(",")])


def parse_class_lines(lines: Iterable[str]) -> tuple[Prompt, ...]:
    """Return the prompts of lines with one class each; ``#`` begins a comment.

    Raises
    ------
    MedrovError
        ``USAGE`` if there is no class, or a class is given twice.
    """
    texts = [line.split("#", maxsplit=1)[0].strip() for line in lines]
    prompts = [Prompt.parse(text) for text in texts if text]
    if not prompts:
        raise MedrovError(ErrorCode.USAGE, "the list of classes is empty", "Write one class a line.")
    return _distinct(prompts)


def read_classes_file(path: Path) -> tuple[Prompt, ...]:
    """Return the prompts of a UTF-8 text file with one class a line; ``#`` begins a comment.

    Raises
    ------
    MedrovError
        ``USAGE`` if the file cannot be read, has no class, or has one twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MedrovError(
            ErrorCode.USAGE,
            f"cannot read the classes file {path}: {error.strerror or error}",
            "Check the path after --classes-file.",
        ) from error
    except UnicodeDecodeError as error:
        raise MedrovError(
            ErrorCode.USAGE, f"the classes file {path} is not UTF-8 text", "Save it as UTF-8."
        ) from error
    return parse_class_lines(text.splitlines())


def _distinct(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Refuse prompts that ask for the same texts, whatever their case and order."""
    seen: set[frozenset[str]] = set()
    repeated = []
    for prompt in prompts:
        key = frozenset(synonym.casefold() for synonym in prompt.synonyms)
        if key in seen:
            repeated.append(prompt.name)
        seen.add(key)
    if repeated:
        names = ", ".join(repr(name) for name in dict.fromkeys(repeated))
        raise MedrovError(ErrorCode.USAGE, f"classes given more than once: {names}", "Name each class once.")
    return tuple(prompts)
