"""Report of an examination of the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from medrov_cli.core.base.errors import MedrovError

SCHEMA = "medrov.doctor/1"

_DETAIL_LENGTH = 200


class CheckGroup(StrEnum):
    """Groups of checks, in the order of the report."""

    FORMATS = "formats"
    DICOM = "dicom"
    ENGINES = "engines"
    TEXT_ENCODERS = "text_encoders"
    WEIGHTS = "weights"
    CACHE = "cache"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of a successful probe: a text for users, and facts for programs."""

    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check.

    Attributes
    ----------
    group, name
        Group and name of the checked part.
    works
        Whether it works.
    needed
        Whether ``medrov detect`` with its default settings needs it.
    detail
        A version, a path or the reason of the failure.
    hint
        What to do if it does not work.
    facts
        Further facts, as JSON.
    """

    group: CheckGroup
    name: str
    works: bool
    needed: bool
    detail: str
    hint: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the element of a group of the JSON document."""
        return {
            "name": self.name,
            "works": self.works,
            "needed": self.needed,
            "detail": self.detail,
            "hint": "" if self.works else self.hint,
            **self.facts,
        }


@dataclass(frozen=True, slots=True)
class Installation:
    """Installed parts.

    Attributes
    ----------
    unavailable
        Packages that are missing, by the command or option that needs them.
    """

    unavailable: Mapping[str, tuple[str, ...]]

    @property
    def kind(self) -> str:
        """Return ``whole``, ``lean`` (without torch), or ``partial``."""
        missing = {package for packages in self.unavailable.values() for package in packages}
        if not missing:
            return "whole"
        return "lean" if "torch" in missing else "partial"

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        unavailable = {feature: list(packages) for feature, packages in self.unavailable.items()}
        return {"kind": self.kind, "unavailable": unavailable}


@dataclass(frozen=True, slots=True)
class Report:
    """Complete report.

    Attributes
    ----------
    installation
        Installed parts.
    versions
        Versions of medrov, Python, the platform and the packages; null for missing packages.
    offline
        Whether the network is forbidden.
    checks
        Checks in the order of the groups.
    """

    installation: Installation
    versions: Mapping[str, str | None]
    offline: bool
    checks: tuple[Check, ...]

    @property
    def works(self) -> bool:
        """Return whether ``medrov detect`` works with its default settings."""
        return all(check.works for check in self.checks if check.needed)

    @property
    def failures(self) -> tuple[Check, ...]:
        """Return the failed checks, of required and optional parts."""
        return tuple(check for check in self.checks if not check.works)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        groups = {group.value: [c.as_dict() for c in self.checks if c.group is group] for group in CheckGroup}
        return {
            "schema": SCHEMA,
            "works": self.works,
            "installation": self.installation.as_dict(),
            "versions": dict(self.versions),
            "offline": self.offline,
            **groups,
        }


def probe(
    group: CheckGroup,
    name: str,
    action: Callable[[], CheckResult],
    *,
    needed: bool,
    hint: str = "Reinstall medrov.",
) -> Check:
    """Run a probe and return its check; exceptions become failed checks."""
    try:
        found = action()
    except MedrovError as error:
        return Check(group, name, False, needed, error.message, error.hint or hint)
    except Exception as error:  # noqa: BLE001 - broken installations raise any exception
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Check(group, name, False, needed, reason[:_DETAIL_LENGTH], hint)
    return Check(group, name, True, needed, found.detail, hint, found.facts)
