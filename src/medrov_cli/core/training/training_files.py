"""Files of a training run: settings, metrics, curves, state and weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.documents import parse_json
from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.text_files import DocumentError, read_text
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.kind import RecordFile, RunKind
from medrov_cli.core.settings.choices import Tracker

SETTINGS = "config.json"
METRICS = "metrics.jsonl"
STATE = "last.state.safetensors"
BEST = "best.safetensors"
CURVES = "curves.png"

_FILES = (METRICS, STATE, BEST, CURVES)

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
        # The first do not change the result; the others adapt the run to the machine's limits.
        ignored=frozenset(
            {"resume", "workers", "data_root", "output", "offline", "trackers", "save_steps"}
            | {"accumulate", "precision", "precision_reason", "device"}
        ),
    ),
    foreign=Refusal(
        f"--output {{folder}}: {{file}} exists without the {SETTINGS} of a run",
        "Give another --output, or move the file away.",
    ),
    files=(*_FILES, *(f"{name}/**/*" for name in Tracker)),
    files_of=lambda _: _FILES,
)
"""Kind of the folder of ``medrov train``, which may contain other files."""


@dataclass(frozen=True, slots=True)
class TrainingFiles:
    """Files of a run, without its settings.

    Attributes
    ----------
    path
        Folder of the run.
    """

    path: Path

    @property
    def metrics(self) -> Path:
        """Return the path of the metrics: one JSON line per epoch."""
        return self.path / METRICS

    @property
    def state(self) -> Path:
        """Return the path of the last saved state."""
        return self.path / STATE

    @property
    def best(self) -> Path:
        """Return the path of the weights of the best epoch."""
        return self.path / BEST

    @property
    def curves(self) -> Path:
        """Return the path of the plot of the metrics."""
        return self.path / CURVES

    def read_results(self, epochs: int) -> list[dict[str, Any]]:
        """Return the metrics of the first ``epochs`` epochs; later lines are of a killed epoch.

        Raises
        ------
        MedrovError
            ``USAGE`` if there are fewer, or no weights of the best one.
        """
        if not epochs:
            return []
        try:
            lines = read_text(self.metrics).splitlines()
            entries = [parse_json(line, allow_nan=True) for line in lines[:epochs]]
        except (OSError, DocumentError) as error:
            raise _unusable(self.metrics) from error
        if len(entries) < epochs:
            raise _unusable(self.metrics)
        if not self.best.exists():
            raise _unusable(self.best)
        return entries

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """Write all metrics and their curves."""
        with whole_file(self.metrics) as temporary:
            text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in history)
            temporary.write_text(text, encoding="utf-8")
        draw_curves(history, self.curves)


def _unusable(path: Path) -> MedrovError:
    """Return the error that a file of the run is missing or damaged."""
    return usage_error(
        f"{path} is missing or damaged: the run cannot be continued",
        "Put the file back, or start again in an empty --output folder.",
    )


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
