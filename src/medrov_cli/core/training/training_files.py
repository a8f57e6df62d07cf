"""The folder of a training run: settings, metrics, curves, state and weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.kind import RecordFile, RunKind

SETTINGS = "config.json"

TRAINING = RunKind(
    taken=Refusal(
        "{folder} already contains a run", "Add --resume to continue it, or give another --output."
    ),
    marks=(SETTINGS,),
    record=RecordFile(
        SETTINGS,
        changed=Refusal(
            "--resume: the run in {folder} was started with another {name}: {before!r}, now {now!r}",
            f"Repeat the settings of its {SETTINGS}, or give another --output.",
        ),
        # The first do not change the result; the others are the way out of a machine's limits.
        ignored=frozenset(
            {"resume", "workers", "data_root", "output", "offline", "trackers", "save_steps"}
            | {"accumulate", "precision", "precision_reason", "device"}
        ),
    ),
)
"""Folder of ``medrov train``: it may hold other files."""


@dataclass(frozen=True, slots=True)
class TrainingFiles:
    """Files of a run, apart from its settings.

    Attributes
    ----------
    path
        The folder.
    """

    path: Path

    @property
    def metrics(self) -> Path:
        """Return the metrics: one JSON line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def state(self) -> Path:
        """Return the state that was saved last."""
        return self.path / "last.state.safetensors"

    @property
    def best(self) -> Path:
        """Return the weights of the best epoch."""
        return self.path / "best.safetensors"

    @property
    def curves(self) -> Path:
        """Return the picture of the metrics."""
        return self.path / "curves.png"

    def read_metrics(self, epochs: int) -> list[dict[str, Any]]:
        """Return the first ``epochs`` lines of the metrics; drop what a killed epoch left."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines[:epochs]]

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """Write all metrics and their curves."""
        with whole_file(self.metrics) as temporary:
            text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in history)
            temporary.write_text(text, encoding="utf-8")
        draw_curves(history, self.curves)


def draw_curves(history: list[dict[str, Any]], path: Path) -> None:
    """Draw the losses and the validation AP by epoch, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    epochs = [line["epoch"] for line in history]
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, scores = figure.subplots(1, 2)
    terms = ["box", "text", "distribution"]
    if any(line["loss"].get("distillation") for line in history):
        terms.append("distillation")
    for term in terms:
        losses.plot(epochs, [line["loss"].get(term) for line in history], label=term)
    losses.set(xlabel="epoch", ylabel="training loss (weighted term)")
    losses.legend()
    for name in sorted(history[-1]["val"]):
        values = [line["val"].get(name, {}).get("map50") for line in history]
        scores.plot(epochs, values, color="0.8", linewidth=0.8)
    scores.plot(epochs, [line["map50"] for line in history], label="mAP50, mean over sources")
    scores.plot(epochs, [line["map50_95"] for line in history], label="mAP50-95, mean over sources")
    if history[-1].get("novel"):
        for part in ("base", "novel"):
            scores.plot(
                epochs, [line[part]["map50"] for line in history], "--", label=f"mAP50 of {part} classes"
            )
    scores.set(xlabel="epoch", ylabel="validation AP (grey: each source, mAP50)", ylim=(0, 1))
    scores.legend()
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
