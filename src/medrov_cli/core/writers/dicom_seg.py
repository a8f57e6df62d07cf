"""DICOM segmentations: box-shaped segments, for viewers that show neither reports nor presentation states."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

SEG_FOLDER = "seg"


class SegWriter:
    """Writer of segmentations: one for each series, several if segments overlap."""

    name = "seg"
    needs_folder = True
    files = (f"{SEG_FOLDER}/*.dcm",)

    def prepare(self) -> None:
        """Import highdicom and its tables."""
        from medrov_cli.core.writers.dicom.early_import import import_highdicom

        import_highdicom()

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the segmentations of all series with detections."""
        from medrov_cli.core.writers.dicom.box_segmentation import segmentations
        from medrov_cli.core.writers.dicom.object_files import write_object
        from medrov_cli.core.writers.dicom.source_studies import read_studies

        (folder / SEG_FOLDER).mkdir(parents=True, exist_ok=True)
        for study in read_studies(records, run):
            with run.leaving_out_failures(study.paths):
                for segmentation in segmentations(study, run):
                    write_object(folder / SEG_FOLDER, segmentation)


WRITER: Writer = SegWriter()
