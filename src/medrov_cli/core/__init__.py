"""The shared core: everything behind the commands, callable from Python.

Nothing in here prints, exits, or imports typer or rich. Failures are
:class:`medrov_cli.core.base.errors.MedrovError`; progress goes through callables.
"""
