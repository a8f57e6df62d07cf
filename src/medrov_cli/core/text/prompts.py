"""Lists of classes: in files, on standard input and in Python."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.text_files import DocumentError, read_stream, read_text
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.values import Prompt, distinct_prompts, parse_classes


def read_classes(settings: ClassSettings, stdin: Iterable[str] | None = None) -> tuple[Prompt, ...]:
    """Return the classes that are searched for; none: the vocabulary of the weights.

    Parameters
    ----------
    stdin
        Standard input, or its lines, for the file ``-``.

    Raises
    ------
    MedrovError
        ``USAGE``: see :func:`read_classes_file`, also of standard input.
    """
    if settings.classes_file is None:
        return settings.classes
    if settings.reads_stdin:
        return parse_class_lines(_lines_of(stdin or ()))
    return read_classes_file(settings.classes_file)


def _lines_of(stdin: Iterable[str]) -> Iterable[str]:
    """Return the lines of standard input; its bytes are decoded as those of a file."""
    buffer: BinaryIO | None = getattr(stdin, "buffer", None)
    if buffer is None:
        return stdin
    try:
        return read_stream(buffer).splitlines()
    except DocumentError as error:
        raise usage_error(f"the list of classes {error}", "Write it as UTF-8 text.") from error


def to_prompts(classes: str | Iterable[str | Prompt]) -> tuple[Prompt, ...]:
    """Return the prompts of names and prompts, or of a comma-separated list.

    Raises
    ------
    MedrovError
        ``USAGE`` if a class is empty, no text, or given twice.
    """
    if isinstance(classes, str):
        return parse_classes(classes)
    prompts = []
    for item in classes:
        if not isinstance(item, str | Prompt):
            raise usage_error(f"class {item!r} is no text", "Give its name.")
        prompts.append(Prompt.parse(item) if isinstance(item, str) else item)
    return distinct_prompts(prompts)


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
        raise usage_error("the list of classes is empty", "Write one class per line.")
    return distinct_prompts(prompts)


def read_classes_file(path: Path) -> tuple[Prompt, ...]:
    """Return the prompts of a text file with one class per line; ``#`` starts a comment.

    Raises
    ------
    MedrovError
        ``USAGE`` if the file cannot be read, has no class, or has one twice.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise usage_error(
            f"cannot read the classes file {path}: {error.strerror or error}",
            "Check the path after --classes-file.",
        ) from error
    except DocumentError as error:
        raise usage_error(f"the classes file {path} {error}", "Save it as UTF-8 text.") from error
    return parse_class_lines(text.splitlines())
