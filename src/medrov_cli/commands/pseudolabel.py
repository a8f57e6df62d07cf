"""``medrov pseudolabel``: labels of classes that a dataset's sources show, but do not annotate.

``medrov pseudolabel DATASET.yaml`` writes them, ``medrov pseudolabel apply FILE`` applies a review of them.
With ``--json`` the documents are ``medrov.pseudolabel/1`` and ``medrov.pseudolabel.apply/1``, which are also
in ``DIR/manifest.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Group, RenderableType
from typer.core import TyperGroup

from medrov_cli import console
from medrov_cli.commands.signature import with_options
from medrov_cli.core.base.errors import ExitCode
from medrov_cli.core.settings.pseudolabel import ApplySettings, PseudolabelSettings


class _DatasetOrCommand(TyperGroup):
    """Command with an argument of its own and subcommands, distinguished by the first word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        names_command = bool(args) and args[0] in self.commands
        # Options may follow the dataset; options after a subcommand belong to it, and it has no dataset.
        ctx.allow_interspersed_args = not names_command
        return super().parse_args(ctx, [args[0], *args] if names_command else args)

    def get_params(self, ctx: Any) -> list[Any]:
        # A subcommand's usage line contains these arguments, too, but not the dataset.
        return super().get_params(ctx) if ctx.command is self else []


app = typer.Typer(
    cls=_DatasetOrCommand,
    invoke_without_command=True,
    no_args_is_help=True,
    subcommand_metavar="| apply FILE [OPTIONS]",
)


@dataclass(frozen=True, slots=True)
class PseudoLabelOutput:
    """Document of schema ``medrov.pseudolabel/1``, and the folder of its dataset.

    Attributes
    ----------
    manifest
        Document with model, rule and counts.
    output
        Folder of the dataset, or its address; null if none was written.
    waiting_for
        Shards that are missing for the dataset.
    """

    manifest: Mapping[str, Any]
    output: str | None
    waiting_for: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {**self.manifest, "output": self.output, "waiting_for": list(self.waiting_for)}


@dataclass(frozen=True, slots=True)
class ApplyOutput:
    """Document of schema ``medrov.pseudolabel.apply/1``, and the folder of its dataset."""

    manifest: Mapping[str, Any]
    output: Path

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {**self.manifest, "output": str(self.output)}


def _render(output: PseudoLabelOutput) -> RenderableType:
    manifest = output.manifest
    table = console.table(
        "source", "class", "images", "with label", "labels", "min", "25 %", "50 %", "75 %", "max"
    )
    for column in table.columns[2:]:
        column.justify = "right"
    for name, source in manifest["sources"].items():
        for label, own in source["classes"].items():
            scores = own["score_quantiles"] or ()
            shown = [f"{score:.3f}" for score in scores] or ["-"] * 5
            table.add_row(name, label, str(source["images"]), str(own["images"]), str(own["boxes"]), *shown)
    rule = manifest["rule"]
    views = f", {rule['agree']} of {rule['views']} views" if "views" in rule else ""
    failed = f"; {len(manifest['failures'])} image(s) not read" if manifest["failures"] else ""
    return Group(
        table,
        "",
        f"{manifest['boxes']} label(s) on {manifest['images']} image(s); "
        f"{rule['scores']} score from {rule['score']:g}{views}{failed}",
    )


def _render_applied(output: ApplyOutput) -> RenderableType:
    table = console.table("source", "accepted", "relabelled", "rejected", "undecided")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, own in output.manifest["sources"].items():
        table.add_row(name, *(str(own[key]) for key in ("accepted", "relabelled", "rejected", "undecided")))
    return table


def pseudolabel(context: typer.Context, settings: PseudolabelSettings) -> None:
    """Label classes that a dataset's sources do not annotate, and apply a review.

    The command labels classes with a 0 in the presence table. The defaults are those of the paper.
    'apply' writes the decisions that the page of --review saves. An image that cannot be read is
    reported, and the other images are processed.
    """
    if context.invoked_subcommand is not None:
        return
    from medrov_cli.core.pseudolabeling.run import run_pseudolabeling

    with console.progress("images") as advance:
        result = run_pseudolabeling(settings, advance)
    output = settings.output.place if result.is_written else None
    failures = result.manifest["failures"]
    for failure in failures:
        console.fail(f"{failure['path']}: {failure['error']['message']}", failure["error"]["hint"])
    shown = PseudoLabelOutput(result.manifest, output, result.waiting_for)
    console.success(shown, _render, as_json=settings.output.as_json)
    if result.waiting_for:
        console.note(f"the dataset is written after these shards: {', '.join(result.waiting_for)}")
    for place in (output, settings.review if result.is_written else None):
        if place is not None:
            console.note(f"written: {place}")
    if not result.manifest["images"]:
        raise typer.Exit(ExitCode.NO_INPUT)
    if failures:
        raise typer.Exit(ExitCode.PARTIAL)


def apply(settings: ApplySettings) -> None:
    """Apply a review: remove rejected labels, mark accepted and relabelled ones as reviewed.

    Of a run of 'detect', the images with a decision are copied to the dataset.
    """
    from medrov_cli.core.pseudolabeling.decisions import apply_decisions

    manifest = apply_decisions(
        settings.decisions,
        settings.labels,
        settings.output,
        overwrite=settings.overwrite,
        modality=settings.modality,
    )
    console.success(ApplyOutput(manifest, settings.output), _render_applied, as_json=settings.as_json)
    for image in manifest.get("left_out", ()):
        console.warn(f"{image['path']}: not in the dataset, {image['reason']}")
    console.note(f"written: {settings.output}")


app.callback()(with_options(pseudolabel))
app.command("apply", no_args_is_help=True)(with_options(apply))
