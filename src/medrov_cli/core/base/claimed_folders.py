"""Output folders of this process, below which no symbolic link is followed on write.

An output folder may be shared with other users. A link in it could lead a file of ours to another place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medrov_cli.core.base.errors import MedrovError, usage_error

_CLAIMED: dict[str, int] = {}
"""Number of claims by absolute path, also with its own links resolved."""


class FolderClaim:
    """Claim of an output folder by this process; released once.

    Parameters
    ----------
    folder
        The folder. Links in its own path are followed, because a user has given them.
    """

    def __init__(self, folder: Path) -> None:
        self._names = {os.path.abspath(folder), os.path.realpath(folder)}  # noqa: PTH100 - keeps links
        for name in self._names:
            _CLAIMED[name] = _CLAIMED.get(name, 0) + 1

    def release(self) -> None:
        """Release the claim; a second call does nothing."""
        for name in self._names:
            _CLAIMED[name] -= 1
            if not _CLAIMED[name]:
                del _CLAIMED[name]
        self._names = set()


@contextmanager
def claimed_folder(folder: Path) -> Iterator[None]:
    """Refuse links below a folder while the body runs."""
    claim = FolderClaim(folder)
    try:
        yield
    finally:
        claim.release()


def is_claimed(path: Path) -> bool:
    """Return whether a file is below an output folder of this process; refuse links on the way to it.

    Raises
    ------
    MedrovError
        ``USAGE`` if a folder between the output folder and the file is a symbolic link.
    """
    place = os.path.abspath(path)  # noqa: PTH100 - keeps links
    roots = [root for root in _CLAIMED if place.startswith(root.rstrip(os.sep) + os.sep)]
    if not roots:
        return False
    root = min(roots, key=len)
    for part in Path(place).relative_to(root).parents[:-1]:
        if (Path(root) / part).is_symlink():
            raise link_error(Path(root), Path(root) / part)
    return True


def link_error(folder: Path, link: Path) -> MedrovError:
    """Return the error for a link in the place of a file or folder of ours."""
    return usage_error(
        f"--output {folder}: {link} is a symbolic link, which is not followed",
        "Remove the link, or give another --output.",
    )
