"""Settings of ``medrov merge``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.settings.field import argument, option, option_of
from medrov_cli.core.settings.io_groups import OutputSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRunsSettings:
    """Settings of ``merge``.

    Attributes
    ----------
    parts
        Output folders of the shards, in any order.
    folder
        Output folder.
    overwrite
        Whether an earlier run in it is replaced.
    as_json
        Whether the result is printed as one JSON document.
    """

    parts: tuple[Path, ...] = argument(
        metavar="PART...", help="Output folders of all jobs of 'medrov detect --shard'."
    )
    folder: Path = option("--output", "-o", metavar="DIR|URL", help="Folder for the joined results.")
    overwrite: bool = option_of(OutputSettings, "overwrite", panel=None)
    as_json: bool = option_of(OutputSettings, "as_json", panel=None)

    def check(self) -> None:
        """Refuse contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        own = self.folder.absolute()
        if any(part.absolute() == own for part in self.parts):
            raise usage_error(f"--output {self.folder} is one of the parts", "Give another folder.")
        if self.folder.exists() and not self.folder.is_dir():
            raise usage_error(f"--output {self.folder} is a file", "Give a folder.")
