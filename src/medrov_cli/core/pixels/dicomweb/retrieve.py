"""Retrieval of a study, series or instance by WADO-RS into a temporary archive.

The archive is removed with the process. Its members are read like those of an archive that the user gave.
"""

from __future__ import annotations

import atexit
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from io import BytesIO
from typing import TYPE_CHECKING

import pydicom

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.network_addresses import DicomwebAddress, require_network
from medrov_cli.core.base.scratch import scratch_folder
from medrov_cli.core.pixels.dicomweb.client import open_client, repeated
from medrov_cli.core.pixels.remote_members import PREFIX, add_members

if TYPE_CHECKING:
    from dicomweb_client.web import DICOMwebClient

_UID = r"[0-9.]{1,64}"
_PATH = re.compile(
    rf"(?P<base>.+)/studies/(?P<study>{_UID})"
    rf"(?:/series/(?P<series>{_UID})(?:/instances/(?P<instance>{_UID}))?)?/?"
)
_MEDIA_TYPES = (("application/dicom", "*"),)
_RETRIES = 5

_folders = ExitStack()
"""Folders of this process, removed at its end."""
atexit.register(_folders.close)


def retrieve(path: str, *, offline: bool) -> list[str]:
    """Retrieve the instances of ``dicomweb:URL/studies/UID[/series/UID[/instances/UID]]``.

    Returns
    -------
    list
        Name of each instance, ordered by series and instance UID: its address with the prefix.

    Raises
    ------
    MedrovError
        ``USAGE`` for another path, ``NETWORK_FORBIDDEN``, ``TRANSFER_FAILED``, ``DEPENDENCY_MISSING``;
        ``NO_INPUT`` if the service has no such images.
    """
    match = _PATH.fullmatch(path.removeprefix(PREFIX))
    if match is None:
        raise usage_error(
            f"{path} names no study",
            f"Give {PREFIX}https://HOST/dicom-web/studies/UID, optionally with /series/UID.",
        )
    address = DicomwebAddress.parse(match["base"], PREFIX.rstrip(":"))
    require_network(offline, path)
    client = open_client(address)
    archive = _folders.enter_context(scratch_folder()) / "instances.zip"
    members: dict[str, str] = {}
    with zipfile.ZipFile(archive, "w") as stored:

        def store_all() -> None:
            for dataset in _stream(client, match.groupdict()):
                name = f"series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"
                if name not in members:
                    stored.writestr(zipfile.ZipInfo(name), _encoded(dataset))
                    members[name] = f"{PREFIX}{address}/studies/{match['study']}/{name}"

        repeated(store_all, address, _RETRIES)
    if not members:
        raise MedrovError(ErrorCode.NO_INPUT, f"{path}: the service has no such images", "Check the UIDs.")
    add_members(str(archive), {path: name for name, path in members.items()})
    return sorted(members.values())


def _stream(client: DICOMwebClient, uids: Mapping[str, str | None]) -> Iterator[pydicom.Dataset]:
    """Yield the instances as the service sends them."""
    study, series, instance = (uids[key] or "" for key in ("study", "series", "instance"))
    if instance:
        yield client.retrieve_instance(study, series, instance, media_types=_MEDIA_TYPES)
    elif series:
        yield from client.iter_series(study, series, media_types=_MEDIA_TYPES)
    else:
        yield from client.iter_study(study, media_types=_MEDIA_TYPES)


def _encoded(dataset: pydicom.Dataset) -> bytes:
    with BytesIO() as stream:
        pydicom.dcmwrite(stream, dataset)
        return stream.getvalue()
