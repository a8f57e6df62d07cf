"""Entry point of the program, also of ``python -m medrov_cli``."""

import sys

from medrov_cli.core.base.errors import ExitCode
from medrov_cli.core.base.fast_imports import without_collection
from medrov_cli.core.base.termination import Termination


def main() -> None:
    """Run the command line of this process; signals during its imports end it like later ones."""
    termination = Termination()
    try:
        termination.install()
        with without_collection():
            from medrov_cli import cli

        cli.main(termination)
    except KeyboardInterrupt:
        sys.exit(termination.exit_code(ExitCode.INTERRUPTED))


if __name__ == "__main__":
    main()
