"""``medrov data convert``: one source folder from masks, boxes or volumes; ``medrov.data.convert/1``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Group, RenderableType

from medrov_cli import console, options
from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.settings.choices import Modality
from medrov_cli.options import converting

if TYPE_CHECKING:
    from medrov_cli.core.curation.convert import Converted


@dataclass(frozen=True, slots=True)
class ConvertOutput:
    """A conversion, as schema ``medrov.data.convert/1``."""

    output: Path
    converted: Converted

    def as_dict(self) -> Mapping[str, Any]:
        """Return the JSON document."""
        own = self.converted
        return {
            "schema": "medrov.data.convert/1",
            "output": str(self.output),
            "images": own.images,
            "boxes": sum(own.classes.values()),
            "classes": dict(own.classes),
            "splits": dict(own.splits),
            "skipped_empty": own.skipped_empty,
            "clipped_boxes": own.clipped,
            "dropped_boxes": own.dropped,
            "repeated_boxes": own.repeated,
            "failures": [{"path": item.path, "error": item.error.as_dict()} for item in own.failures],
        }


def _render(output: ConvertOutput) -> RenderableType:
    own = output.converted
    table = console.table("class", "boxes")
    table.columns[1].justify = "right"
    for name, boxes in own.classes.items():
        table.add_row(name, str(boxes))
    splits = ", ".join(f"{split} {images}" for split, images in own.splits.items() if images)
    return Group(table, "", f"{own.images} image(s) in {output.output}" + (f" ({splits})" if splits else ""))


def convert(
    path: converting.Input,
    form: converting.From,
    output: converting.NewFolder,
    modality: converting.ModalityName,
    licence: converting.Licence,
    source: converting.SourceText = "unstated",
    split: converting.Split = "train",
    case: converting.Case = None,
    images: converting.Images = None,
    labels: converting.Labels = None,
    components: converting.Components = True,
    min_area: converting.MinArea = 1,
    axis: options.Axis = "axial",
    every: converting.Every = 1,
    window: options.Window = "auto",
    csv: converting.Csv = None,
    readers: converting.Readers = "keep",
    skip_empty: converting.SkipEmpty = False,
    drop_repeats: converting.DropRepeats = False,
    workers: converting.Workers = 2,
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Make a source folder of masks or boxes that you have.

    An input that fails is reported, and the rest goes on.
    """
    from medrov_cli.core.curation.convert import ConvertConfig
    from medrov_cli.core.curation.convert import convert as run
    from medrov_cli.core.datasets.cases import parse_case_pattern
    from medrov_cli.core.datasets.readers.protocol import ReaderConfig
    from medrov_cli.core.datasets.readers.shared.mask_values import parse_labels

    config = ConvertConfig(
        format=form,
        reader=ReaderConfig(
            path=path,
            images=images,
            labels=parse_labels(labels),
            components=components,
            min_area=min_area,
            axis=axis,
            every=every,
            window=window,
            csv=csv,
            readers=readers,
            skip_empty=skip_empty,
            case=parse_case_pattern(case),
        ),
        output=output,
        modality=_modality(modality),
        licence=licence,
        source=source,
        split=split,
        drop_repeats=drop_repeats,
        workers=workers,
        resume=resume,
    )
    with console.progress("inputs") as advance:
        converted = run(config, advance)
    _tell(converted)
    console.success(ConvertOutput(output, converted), _render, as_json=as_json)
    if not converted.images:
        raise typer.Exit(ExitCode.NO_INPUT)
    if converted.failures:
        raise typer.Exit(ExitCode.PARTIAL)


def _tell(converted: Converted) -> None:
    for failure in converted.failures:
        console.fail(f"{failure.path}: {failure.error.message}", failure.error.hint)
    if converted.clipped or converted.dropped:
        console.warn(
            f"{converted.clipped} box(es) reached out of their image and were cut; "
            f"{converted.dropped} had nothing in it and were left out"
        )


def _modality(text: str) -> Modality:
    try:
        return Modality.parse(text)
    except ValueError as error:
        raise MedrovError(ErrorCode.USAGE, f"--modality: {error}", "Choose one of these.") from None
