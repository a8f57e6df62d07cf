"""Import of highdicom and its tables of the standard, which takes longer than many reports."""

from __future__ import annotations

from importlib import import_module

_MODULES = ("measurement_report", "presentation", "object_files")


def import_highdicom() -> None:
    """Import what structured reports and presentation states need, and read highdicom's tables."""
    for name in _MODULES:
        import_module(f"medrov_cli.core.writers.dicom.{name}")
    tables = import_module("highdicom._standard_utils")  # it has no public function for them
    tables.get_iod_module_map()
    tables.get_module_attribute_map()
