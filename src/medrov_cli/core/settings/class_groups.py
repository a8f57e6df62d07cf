"""Group of settings for the classes of a command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import excludes
from medrov_cli.core.settings.choices import STDIN
from medrov_cli.core.settings.field import option
from medrov_cli.core.settings.groups import CLASSES_PANEL
from medrov_cli.core.settings.values import Prompt, parse_classes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSettings:
    """Classes of a command.

    Attributes
    ----------
    classes
        Classes and their synonyms; without classes here and in the file, the vocabulary of the weights.
    classes_file
        Text file with one class per line; ``-``: standard input.
    learned
        Files of learned classes, in addition to the classes, or alone.
    """

    classes: tuple[Prompt, ...] = option(
        "--classes",
        "-c",
        default=(),
        parse=parse_classes,
        metavar="TEXT",
        help='Classes, comma separated: "lung nodule, polyp"; a/b are synonyms of one class.',
        panel=CLASSES_PANEL,
    )
    classes_file: Path | None = option(
        "--classes-file",
        default=None,
        metavar="FILE",
        help="Text file of classes, one per line; - reads stdin.",
        panel=CLASSES_PANEL,
    )
    learned: tuple[Path, ...] = option(
        "--learned",
        default=(),
        given=list[Path],
        parse=tuple,
        metavar="FILE",
        help="File of 'medrov learn'; may be repeated. Without --classes: its classes alone.",
        panel=CLASSES_PANEL,
    )

    @property
    def is_empty(self) -> bool:
        """Return whether no class is given."""
        return not self.classes and self.classes_file is None

    @property
    def reads_stdin(self) -> bool:
        """Return whether the classes are read from standard input."""
        return self.classes_file is not None and str(self.classes_file) == STDIN

    def check(self) -> None:
        """Refuse classes both from the option and from a file.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        if self.classes and self.classes_file is not None:
            raise excludes("--classes", "--classes-file", "Give one.")
