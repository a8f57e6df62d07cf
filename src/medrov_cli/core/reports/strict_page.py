"""Pages with a content security policy that names their style and script by hash.

The browser runs no other script: neither an element nor an attribute that a text could bring into the page,
and no conversion of texts to markup by the script itself (trusted types).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from medrov_cli.core.reports.page import template_text, write_page

_FOLDER = " 'self' file:"
"""Sources of a page with files beside it; browsers do not agree whether ``'self'`` contains ``file:``."""


def write_strict_page(
    path: Path,
    template: str,
    styles: Sequence[str],
    scripts: Sequence[str],
    *,
    reads_folder: bool = False,
    **context: Any,
) -> None:
    """Write a page whose template is based on ``strict.html.j2``.

    Parameters
    ----------
    path
        The HTML file.
    template
        Name of a file in ``templates``.
    styles, scripts
        Names of files there, which are joined.
    reads_folder
        Whether the page has scripts and pictures in files beside it.
    context
        Further values of the template.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    style = "\n" + "".join(map(template_text, styles))
    script = "\n" + "".join(map(template_text, scripts))
    beside = _FOLDER if reads_folder else ""
    policy = (
        f"default-src 'none'; img-src data:{beside}; style-src {_hash(style)}; "
        f"script-src {_hash(script)}{beside}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'"
    )
    texts = {"style": Markup(style), "script": Markup(script)}  # noqa: S704 - files of this package
    write_page(path, template, policy=policy, **texts, **context)


def script_json(value: Any) -> str:
    """Return JSON in ASCII that can stand in a ``script`` element and in a script.

    In such an element only ``</`` and ``<!--`` could end the data, and they are escaped.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    """Return the source expression of an element's text (Content Security Policy Level 3, 2.3.1)."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"
