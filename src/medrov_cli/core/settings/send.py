"""Settings of ``medrov send``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import requires, usage_error
from medrov_cli.core.base.network_addresses import Destination, DicomwebAddress, parse_destination
from medrov_cli.core.settings.field import argument, check_ranges, option, option_of
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.settings.io_groups import OutputSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSettings:
    """Settings of ``send``.

    Attributes
    ----------
    results
        Output folder of ``detect`` with DICOM results.
    destination
        DICOMweb service, or application entity.
    calling_title
        Own application entity title.
    tls
        Whether the connection to an application entity uses TLS.
    retries
        Repetitions of a request after a failure of the network or of the server.
    offline, as_json
        Whether the network is forbidden; whether the result is printed as one JSON document.
    """

    results: Path = argument(metavar="DIR", help="Output folder of 'medrov detect --format sr,gsps,ann'.")
    destination: Destination = option(
        "--to",
        given=str,
        parse=parse_destination,
        metavar="URL|AET@HOST:PORT",
        help="DICOMweb service (STOW-RS), or application entity (C-STORE).",
    )
    calling_title: str = option(
        "--calling-aet", default="MEDROV", metavar="AET", help="Own application entity title, for C-STORE."
    )
    tls: bool = option("--tls", default=False, help="Use TLS for C-STORE; an https URL always uses it.")
    retries: int = option(
        "--retries", default=5, low=0, high=20, help="Repetitions of a request after a failure."
    )
    offline: bool = option_of(RuntimeSettings, "offline", panel=None)
    as_json: bool = option_of(OutputSettings, "as_json", panel=None)

    def check(self) -> None:
        """Refuse invalid values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        check_ranges(self)
        if not self.results.is_dir():
            raise usage_error(f"{self.results} is no folder", "Give the --output of 'medrov detect'.")
        if self.tls and isinstance(self.destination, DicomwebAddress):
            raise requires("--tls", "--to AET@HOST:PORT", "Give an https address instead.")
        if not self.calling_title.isascii() or not 0 < len(self.calling_title.strip()) <= 16:
            raise usage_error("--calling-aet has not 1 to 16 ASCII characters", "Give the registered title.")
