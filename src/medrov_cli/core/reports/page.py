"""HTML pages from the templates: one file each, without requests.

Jinja2 escapes every value of a report (autoescape). Characters that HTML does not allow are replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from medrov_cli.core.base.files import open_text, whole_file
from medrov_cli.core.reports import document_values
from medrov_cli.core.reports.tables import table_of

CONTENT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
"""Content security policy: the browser refuses every request of the page."""


def write_page(path: Path, template: str, *, policy: str = CONTENT_POLICY, **context: Any) -> None:
    """Write a page; the same template and values give the same bytes.

    Parameters
    ----------
    path
        The HTML file.
    template
        Name of a file in ``templates``.
    policy
        Its content security policy.
    context
        Values of the template. Iterators are consumed while the page is written.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with whole_file(path) as temporary, open_text(temporary) as stream:
        stream.writelines(_rendered(template, {**context, "policy": policy}))


def template_text(name: str) -> str:
    """Return the text of a file in ``templates``, as it is."""
    environment = _environment()
    if environment.loader is None:
        raise ValueError("the environment has no templates")
    return environment.loader.get_source(environment, name)[0]


def _rendered(template: str, context: dict[str, Any]) -> Iterator[str]:
    return _environment().get_template(template).generate(**context)


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
    environment.globals["table_of"] = table_of
    return environment


def _printable(value: Any) -> Any:
    """Return text without the characters that HTML does not allow; other values and markup unchanged."""
    return (
        document_values.printable(value)
        if isinstance(value, str) and not isinstance(value, Markup)
        else value
    )
