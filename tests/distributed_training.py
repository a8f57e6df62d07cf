"""Train as one of several processes, and write down what each step reported; run by torchrun."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from medrov_cli.core.settings.choices import OptimizerName
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.settings.train_groups import ScheduleSettings
from medrov_cli.core.training.epoch_progress import TrainProgress
from medrov_cli.core.training.run import run_training


def main(dataset: str, output: str) -> None:
    """Take a few steps on the CPU in float32."""
    torch.set_num_threads(1)
    losses: list[float] = []

    def note(progress: TrainProgress) -> None:
        if progress.stage == "train" and progress.loss is not None:
            losses.append(progress.loss)

    config = TrainSettings(
        dataset=Path(dataset),
        output=Path(output),
        imgsz=64,
        epochs=2,
        batch=8,
        workers=0,
        device="cpu",
        precision="fp32",
        close_mosaic=1,
        # Muon would make large steps of small differences.
        schedule=ScheduleSettings(OptimizerName.ADAMW, learning_rate=1e-5),
    )
    result = run_training(config, note)
    if result.is_main:
        (Path(output) / "losses.json").write_text(json.dumps(losses), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
