"""DICOM annotations of whole slides: one Microscopy Bulk Simple Annotations object for each slide."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

ANN_FOLDER = "ann"


class AnnWriter:
    """Writer of an object with the boxes of each slide."""

    name = "ann"
    needs_folder = True
    files = (f"{ANN_FOLDER}/*.dcm",)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the objects of all slides with detections."""
        from medrov_cli.core.writers.dicom.bulk_annotations import bulk_annotations
        from medrov_cli.core.writers.dicom.object_files import write_object
        from medrov_cli.core.writers.dicom.source_studies import read_studies

        (folder / ANN_FOLDER).mkdir(parents=True, exist_ok=True)
        for study in read_studies(records, run, slides=True):
            for slide in study.split(lambda instance: instance.uid):
                if any(record["detections"] for record in slide.records):
                    with run.leaving_out_failures(slide.paths):
                        write_object(folder / ANN_FOLDER, bulk_annotations(slide, study.patient, run.classes))


WRITER: Writer = AnnWriter()
