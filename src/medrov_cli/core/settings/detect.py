"""Settings of ``medrov detect``."""

from __future__ import annotations

from dataclasses import dataclass

from medrov_cli.core.base.errors import requires, usage_error
from medrov_cli.core.settings.choices import OUTPUT_FORMATS_HELP, Phi, parse_formats
from medrov_cli.core.settings.field import argument, check_ranges, group, option, option_of
from medrov_cli.core.settings.groups import (
    INPUT_PANEL,
    OUTPUT_PANEL,
    STDIN,
    ClassSettings,
    ModelSettings,
    RuntimeSettings,
    SelectionSettings,
)
from medrov_cli.core.settings.io_groups import OutputSettings, ReadSettings
from medrov_cli.core.settings.values import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSettings:
    """Settings of ``detect``; the order of the fields is that of the keys of ``run.json``.

    Attributes
    ----------
    inputs
        Files, folders, patterns, ``-`` for a list on standard input.
    weights
        Name in the manifest, a ``.safetensors`` file, or a model of ``medrov export``.
    classes
        What is searched for; the vocabulary of the weights where none are given.
    selection
        Which candidates become detections.
    read
        How files become frames.
    text_encoder
        Spec of the text encoder of ``classes``; that of the weights where null.
    runtime
        Where and how the network runs.
    formats
        Formats to write, beside the JSON lines that a folder always gets.
    shard
        Which part of the inputs; null for all.
    strict
        Stop at the first input that fails.
    output
        Where results go.
    phi
        What of DICOM headers may leave the program.
    timings
        Write the time that each image took; without it, equal runs give equal bytes.
    """

    inputs: tuple[str, ...] = argument(
        metavar="INPUT...", help="Images, folders or patterns; - reads a list of paths from stdin."
    )
    weights: str = option_of(
        ModelSettings,
        "weights",
        before="--text-encoder",
        help="Name from 'medrov weights list', .safetensors file, or model of 'medrov export'.",
    )
    classes: ClassSettings = group(ClassSettings())
    selection: SelectionSettings = group(SelectionSettings())
    read: ReadSettings = group(ReadSettings())
    text_encoder: str | None = option_of(ModelSettings, "text_encoder")
    runtime: RuntimeSettings = group(RuntimeSettings())
    formats: tuple[str, ...] = option(
        "--format",
        "-f",
        default=(),
        before="--resume",
        given=list[str],
        parse=parse_formats,
        metavar="LIST",
        help=f"Output formats, comma separated: {OUTPUT_FORMATS_HELP}.",
        panel=OUTPUT_PANEL,
        affects_result=True,
        recorded="recorded_formats",
    )
    shard: Shard | None = option(
        "--shard",
        default=None,
        before="--threads",
        parse=Shard.parse,
        metavar="I/N",
        help="Process every N-th input, starting with the I-th, as one of N parallel jobs.",
        panel=INPUT_PANEL,
        affects_result=True,
    )
    strict: bool = option(
        "--strict",
        default=False,
        before="--threads",
        help="Stop at the first input that fails.",
        panel=INPUT_PANEL,
    )
    output: OutputSettings = group(OutputSettings())
    phi: Phi = option(
        "--phi",
        default=Phi.DROP,
        help="DICOM identifiers: UIDs (drop), hashed UIDs (hash), or UIDs, patient name and id (keep).",
        panel=OUTPUT_PANEL,
        affects_result=True,
    )
    timings: bool = option(
        "--timings",
        default=False,
        before="--json",
        help="Write the time of each image in ms. Without it, equal runs give equal bytes.",
        panel=OUTPUT_PANEL,
        affects_result=True,
    )

    @property
    def recorded_formats(self) -> list[str]:
        """Return the formats that a folder gets, sorted."""
        return sorted({"jsonl", *self.formats})

    def check(self) -> None:
        """Refuse bad values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        check_ranges(self)
        self.classes.check()
        if self.classes.reads_stdin and STDIN in self.inputs:
            raise usage_error("--classes-file and the inputs both read stdin", "Use a file.")
        self.runtime.check()
        if self.text_encoder is not None and self.classes.is_empty:
            raise requires("--text-encoder", "--classes", "Add --classes.")
        self.output.check()
