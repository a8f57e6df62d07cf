"""``medrov train``: training of a detector on several sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType

from medrov_cli import console
from medrov_cli.core.settings.train import TrainSettings

if TYPE_CHECKING:
    from medrov_cli.core.training.epoch_progress import TrainProgress

SCHEMA = "medrov.train/1"


@dataclass(frozen=True, slots=True)
class TrainOutput:
    """Result of a run.

    Attributes
    ----------
    weights
        Weights file of the best epoch.
    best_epoch, epochs
        1-based.
    best
        The metrics of the best epoch, as in ``metrics.jsonl``.
    warnings
        Sentences on skipped images, and on validation that cannot tell which epoch is best.
    """

    weights: str
    best_epoch: int
    epochs: int
    best: dict[str, Any]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "schema": SCHEMA,
            "weights": self.weights,
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "best": self.best,
            "warnings": list(self.warnings),
        }


def _render(output: TrainOutput) -> RenderableType:
    title = f"{output.weights}: epoch {output.best_epoch} of {output.epochs}, validation"
    table = console.table("source", "images", "mAP50", "mAP50-95")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, score in sorted(output.best["val"].items()):
        table.add_row(name, str(score["images"]), f"{score['map50']:.3f}", f"{score['map50_95']:.3f}")
    table.add_section()
    parts = [("mean", output.best)]
    if output.best["novel"]:
        parts += [(f"mean of {part} classes", output.best[part]) for part in ("base", "novel")]
    for name, score in parts:
        table.add_row(name, "", f"{score['map50']:.3f}", f"{score['map50_95']:.3f}")
    return Group(title, table)  # the title of a table would be wrapped at its width


def train(settings: TrainSettings) -> None:
    """Train a detector on several sources, and save the weights of the best epoch.

    Output: config.json, metrics.jsonl, curves.png, best.safetensors, and the state for --resume.
    """
    from medrov_cli.core.base.optional import TRAINING, require_packages

    settings.check()
    require_packages("medrov train", TRAINING)
    from medrov_cli.core.training.run import run_training

    with console.progress("images") as advance:

        def report(progress: TrainProgress) -> None:
            if progress.precision is not None:
                console.note(f"precision {progress.precision}")
            elif progress.notice is not None:
                console.warn(progress.notice)
            elif progress.entry is not None:
                console.note(f"epoch {progress.done}/{progress.total}: {_summary(progress.entry)}")
            else:
                advance(*_describe(progress, settings.batch))

        result = run_training(settings, report)
    if result.is_main:
        best = result.history[result.best_epoch - 1]
        found = TrainOutput(str(result.weights), result.best_epoch, settings.epochs, best, result.notices)
        console.success(found, _render, as_json=settings.as_json)


def _summary(entry: Mapping[str, Any]) -> str:
    """Return the metrics of an epoch, in one line."""
    words = [f"loss {entry['loss']['total']:.3f}", f"mAP50 {entry['map50']:.3f}"]
    if entry["novel"]:
        words.append(f"base {entry['base']['map50']:.3f}, novel {entry['novel']['map50']:.3f}")
    added = entry["added_a_step"]
    if any(added.values()):
        words.append(
            f"added per step {added['pseudo']:.2f} pseudo-labels, {added['unknown']:.2f} unknown objects"
        )
    return ", ".join(words)


def _describe(progress: TrainProgress, batch: int) -> tuple[int, int, str]:
    """Return the number of processed images, their total, and the label of the bar."""
    if progress.stage == "read":
        return progress.done, progress.total, "reading images"
    where = f"epoch {progress.epoch}/{progress.epochs}"
    if progress.stage == "val":
        return progress.done, progress.total, f"{where} validation"
    return progress.done * batch, progress.total * batch, f"{where} training"
