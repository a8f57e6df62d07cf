"""Structured reports: one Comprehensive 3D SR for each study, TID 1500 Measurement Report."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

SR_FOLDER = "sr"


class SrWriter:
    """Writer of a structured report for each study."""

    name = "sr"
    needs_folder = True
    files = (f"{SR_FOLDER}/*.dcm",)

    def prepare(self) -> None:
        """Import highdicom and its tables."""
        from medrov_cli.core.writers.dicom.early_import import import_highdicom

        import_highdicom()

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the reports."""
        from medrov_cli.core.writers.dicom.measurement_report import measurement_report
        from medrov_cli.core.writers.dicom.object_files import write_object
        from medrov_cli.core.writers.dicom.source_studies import read_studies

        (folder / SR_FOLDER).mkdir(parents=True, exist_ok=True)
        for study in read_studies(records, run):
            with run.leaving_out_failures(study.paths):
                write_object(folder / SR_FOLDER, measurement_report(study))


WRITER: Writer = SrWriter()
