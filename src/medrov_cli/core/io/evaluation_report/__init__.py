"""The report of an evaluation for people: one HTML page without requests, and its plots as files."""

from medrov_cli.core.io.evaluation_report.gallery import GalleryItem
from medrov_cli.core.io.evaluation_report.html import write_report_html
from medrov_cli.core.io.evaluation_report.plots import write_plots

__all__ = ["GalleryItem", "write_plots", "write_report_html"]
