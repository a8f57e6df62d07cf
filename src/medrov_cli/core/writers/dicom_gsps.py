"""Softcopy presentation states: boxes and labels that viewers draw over the images of a series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

if TYPE_CHECKING:
    from medrov_cli.core.writers.dicom.source_studies import SourceStudy

GSPS_FOLDER = "gsps"


class GspsWriter:
    """Writer of presentation states: one for the images of a series that have one appearance."""

    name = "gsps"
    needs_folder = True
    files = (f"{GSPS_FOLDER}/*.dcm",)

    def prepare(self) -> None:
        """Import highdicom and its tables."""
        from medrov_cli.core.writers.dicom.early_import import import_highdicom

        import_highdicom()

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the presentation states of all series with detections."""
        from medrov_cli.core.writers.dicom.source_studies import read_studies

        (folder / GSPS_FOLDER).mkdir(parents=True, exist_ok=True)
        for study in read_studies(records, run):
            for series in study.series():
                write_states(folder / GSPS_FOLDER, series, run)


def write_states(folder: Path, series: SourceStudy, run: RunFacts) -> None:
    """Write the presentation states of one series."""
    from medrov_cli.core.writers.dicom.lookup_tables import has_one_modality_lut
    from medrov_cli.core.writers.dicom.object_files import write_object
    from medrov_cli.core.writers.dicom.presentation import (
        has_detections,
        presentation_state,
        split_by_appearance,
    )
    from medrov_cli.core.writers.dicom.result_identity import result_digest

    digest = result_digest(series.records)
    for number, part in enumerate(filter(has_detections, split_by_appearance(series)), 1):
        first = part.instances[0]
        with run.leaving_out_failures(part.paths):
            if has_one_modality_lut(first):
                write_object(folder, presentation_state(part, digest, number))
            else:
                run.leave_out(first.path, "its frames differ in their rescale slope or intercept")


WRITER: Writer = GspsWriter()
