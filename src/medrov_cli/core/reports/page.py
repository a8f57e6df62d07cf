"""HTML pages from the templates beside this file: one file each, which makes no request.

Jinja2 escapes every value of a report (autoescape); what HTML cannot hold is replaced before.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.reports import document_values

CONTENT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
"""The browser itself refuses every request, whatever the page holds."""


def write_page(path: Path, template: str, **context: Any) -> None:
    """Write a page; the same template and values give the same bytes.

    Parameters
    ----------
    path
        The HTML file.
    template
        Name of a file in ``templates``.
    context
        The values that the template names. Iterators are consumed while the page is written.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(_rendered(template, context))


def _rendered(template: str, context: dict[str, Any]) -> Iterator[str]:
    return _environment().get_template(template).generate(policy=CONTENT_POLICY, **context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("medrov_cli.core.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_printable,
    )
    names = ("ABSENT", "at", "finite", "interval", "list_at", "number", "table_at")
    environment.globals.update({name: getattr(document_values, name) for name in names})
    return environment


def _printable(value: Any) -> Any:
    """Return text without the characters that HTML cannot hold; other values, and markup, as they are."""
    return (
        document_values.printable(value)
        if isinstance(value, str) and not isinstance(value, Markup)
        else value
    )
