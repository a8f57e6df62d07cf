"""Run the command line with ``python -m medrov_cli``."""

from medrov_cli.cli import main

if __name__ == "__main__":
    main()
