"""Parser of lists of classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.values import Prompt


def parse_classes(text: str) -> tuple[Prompt, ...]:
    """Return the prompts of a comma-separated list, in its order.

    Raises
    ------
    MedrovError
        ``USAGE`` if a class is empty or given twice; the message contains it.
    """
    return _distinct([Prompt.parse(part) for part in text.split(",")])


def parse_class_lines(lines: Iterable[str]) -> tuple[Prompt, ...]:
    """Return the prompts of lines with one class each; ``#`` starts a comment.

    Raises
    ------
    MedrovError
        ``USAGE`` without a class, or if a class is given twice.
    """
    texts = [line.split("#", maxsplit=1)[0].strip() for line in lines]
    prompts = [Prompt.parse(text) for text in texts if text]
    if not prompts:
        raise MedrovError(ErrorCode.USAGE, "the list of classes is empty", "Write one class a line.")
    return _distinct(prompts)


def read_classes_file(path: Path) -> tuple[Prompt, ...]:
    """Return the prompts of a UTF-8 text file with one class per line; ``#`` starts a comment.

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
    """Return the prompts, after a check that no two have equal texts, without regard to case and order."""
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
