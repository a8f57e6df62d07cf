"""``--output`` on an object store: a local folder that is copied there while the run writes to it."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.store_addresses import address_of, check_address, split_address
from medrov_cli.core.runs.locking import FolderLock
from medrov_cli.core.runs.stored_folder import CLAIM, HIDDEN, StoredFolder
from medrov_cli.core.settings.io_groups import OutputSettings

PUSH_S = 30.0
"""Time between two copies of a run to its store: the most work that a lost machine loses."""
_MOST_SHARE = 0.1
"""Largest share of the time that copies take."""


@contextlib.contextmanager
def stored_output(output: OutputSettings, last: str, *, offline: bool) -> Iterator[OutputSettings]:
    """Yield the settings with a local folder in place of an address, and copy that folder to the address.

    While the body runs, new files and the new part of each journal are stored every `PUSH_S` seconds. After
    the body, everything is stored, ``last`` after all others; the local folder is then removed. After a
    failure it stays, for ``--resume`` on this machine; on another one, the run continues from the store.

    Parameters
    ----------
    output
        Settings of the output. Those of a folder on a disk are yielded unchanged.
    last
        Name of the file that a complete run writes last.
    offline
        Whether the network is forbidden.

    Raises
    ------
    MedrovError
        ``USAGE``, ``NETWORK_FORBIDDEN``, ``DEPENDENCY_MISSING``, ``OUTPUT_FAILED``.
    """
    address = None if output.folder is None else address_of(output.folder)
    if address is None:
        yield output
        return
    check_address(address, offline=offline, what="--output")
    scheme, rest = split_address(address)
    if scheme == "file://":
        yield replace(output, folder=Path(rest))
        return
    if "/" not in rest.strip("/"):
        raise usage_error(f"--output {address} is a whole bucket", f"Add a folder: {scheme}{rest}/results.")
    base = cache_dir() / "stored" / hashlib.sha256(address.encode()).hexdigest()[:32]
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock(base)
    lock.acquire()
    try:
        folder = StoredFolder(address, base / "folder")
        _prepare(folder, base / "token", last, resume=output.resume, overwrite=output.overwrite)
        with _copied(folder, last):
            yield replace(output, folder=folder.local, address=address)
        if _is_complete(folder.local, last):
            shutil.rmtree(base, ignore_errors=True)
    finally:
        lock.release()


def _prepare(folder: StoredFolder, token: Path, last: str, *, resume: bool, overwrite: bool) -> None:
    """Bring the local copy to the state of the store, and claim the address."""
    objects = folder.list_objects()
    is_run = CLAIM in objects or last in objects
    if objects and not (resume or overwrite):
        raise usage_error(
            f"--output {folder.address} already contains {'a run' if is_run else 'other objects'}",
            "Add --resume to continue it, --overwrite to replace it, or give another --output."
            if is_run
            else "Give another --output.",
        )
    if objects and not is_run:
        raise usage_error(
            f"--output {folder.address} contains other objects", "Give the address of a folder for the run."
        )
    if overwrite:
        folder.remove_all(iter(objects))
    if not resume:
        shutil.rmtree(folder.local, ignore_errors=True)
    elif objects:
        claimed = folder.read_claim()
        if claimed and token.is_file() and token.read_bytes() == claimed.encode():
            folder.trust({name: size for name, size in objects.items() if not name.startswith(HIDDEN)})
        else:
            folder.download(objects)
    folder.local.mkdir(parents=True, exist_ok=True)
    token.write_text(folder.claim(is_new=overwrite or not objects))


@contextlib.contextmanager
def _copied(folder: StoredFolder, last: str) -> Iterator[None]:
    """Copy the local folder to the store in a thread while the body runs, and completely after it."""
    ended = threading.Event()
    thread = threading.Thread(target=_push_often, args=(folder, last, ended), daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        ended.set()
        thread.join()
        with contextlib.suppress(MedrovError):
            folder.push(last, is_end=False)
        raise
    ended.set()
    thread.join()
    folder.push(last, is_end=_is_complete(folder.local, last))


def _push_often(folder: StoredFolder, last: str, ended: threading.Event) -> None:
    """Store what is new from time to time; after a failure, the next copy tries again."""
    wait_s = PUSH_S
    while not ended.wait(wait_s):
        started = time.monotonic()
        try:
            folder.push(last, is_end=False)
        except MedrovError as error:
            if error.code is ErrorCode.USAGE:  # another run has taken over: the last copy says so
                return
        wait_s = max(PUSH_S, (time.monotonic() - started) / _MOST_SHARE)


def _is_complete(local: Path, last: str) -> bool:
    return (local / last).is_file() and next(local.glob(".*.partial"), None) is None
