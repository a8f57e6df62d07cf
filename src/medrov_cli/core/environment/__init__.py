"""The procedure behind ``medrov doctor``: what of medrov works on this machine."""

from medrov_cli.core.environment.examination import examine
from medrov_cli.core.environment.report import Check, Group, Report

__all__ = ["Check", "Group", "Report", "examine"]
