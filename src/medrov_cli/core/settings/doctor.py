"""Settings of ``medrov doctor``."""

from __future__ import annotations

from dataclasses import dataclass

from medrov_cli.core.settings.field import option_of
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.settings.io_groups import OutputSettings


@dataclass(frozen=True, slots=True)
class DoctorSettings:
    """Settings of ``doctor``: whether the network is forbidden, which is reported only."""

    offline: bool = option_of(RuntimeSettings, "offline")
    as_json: bool = option_of(OutputSettings, "as_json")
