"""Speed of ``medrov train`` by number format and optimizer on this CPU, compared with its default.

``python benchmarks/train_precision.py`` trains a network of scale n on phantoms with each pair of
``--precision`` and ``--optimizer``, and prints images/s and the ratio of the default (``auto``, Muon) to the
fastest pair.
``--curves 200`` compares the loss of Muon with its products in float32 and in bfloat16 over 200 steps.
A CPU without units for bf16 is imitated with ``ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BATCH, IMAGES, EPOCHS = 16, 48, 3
PAIRS = (
    ("fp32", "adamw"),
    ("fp32", "muon"),
    ("bf16", "adamw"),
    ("bf16", "muon"),
    ("auto", "muon"),
)
DEFAULT = ("auto", "muon")


def run_medrov(*arguments: object) -> None:
    """Run the command line in a separate process."""
    command = [sys.executable, "-m", "medrov_cli", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603


def make_dataset(folder: Path) -> Path:
    """Write phantoms of one modality and a dataset file; return its path."""
    count = round(IMAGES / 0.7)  # a train split of 70 %
    run_medrov("data", "phantom", "-o", folder / "smears", "--count", count, "--modality", "microscopy")
    sources = sorted(path.parent for path in folder.rglob("annotations.json"))
    path = folder / "data.yaml"
    path.write_text(f"sources: [{', '.join(str(source.relative_to(folder)) for source in sources)}]\n")
    return path


def images_per_second(dataset: Path, output: Path, imgsz: int, precision: str, optimizer: str) -> float:
    """Return the median over the epochs after the first."""
    options = ("--imgsz", imgsz, "--batch", BATCH, "--epochs", EPOCHS, "--workers", 0, "--device", "cpu")
    chosen = ("--precision", precision, "--optimizer", optimizer)
    run_medrov("train", dataset, "-o", output, *options, *chosen, "--offline")
    lines = (output / "metrics.jsonl").read_text().splitlines()
    seconds = [json.loads(line)["seconds"]["train"] for line in lines[1:]]
    steps = count_training_images(dataset) // BATCH
    return steps * BATCH / statistics.median(seconds)


def count_training_images(dataset: Path) -> int:
    """Return the number of training images of the phantoms."""
    files = dataset.parent.rglob("annotations.json")
    return sum(
        image["split"] == "train" for file in files for image in json.loads(file.read_text())["images"]
    )


def compare_speed(dataset: Path, imgsz: int, turns: int, pairs: list[tuple[str, ...]]) -> None:
    """Print the speed of each pair, in turn."""
    speeds: dict[tuple[str, ...], list[float]] = {pair: [] for pair in pairs}
    for turn in range(turns):
        for pair in pairs:
            output = dataset.parent / f"run-{turn}-{'-'.join(pair)}"
            speeds[pair].append(images_per_second(dataset, output, imgsz, *pair))
    medians = {pair: statistics.median(values) for pair, values in speeds.items()}
    for (precision, optimizer), speed in medians.items():
        print(f"{precision} {optimizer}: {speed:.1f} images/s")
    if DEFAULT in medians:
        settings = json.loads((dataset.parent / "run-0-auto-muon" / "config.json").read_text())
        print(f"auto is {settings['precision']}: {settings['precision_reason']}")
        fastest = max(speed for pair, speed in medians.items() if pair != DEFAULT)
        print(f"default against the fastest of the others: {medians[DEFAULT] / fastest:.2f}")


def compare_curves(dataset: Path, imgsz: int, steps: int) -> None:
    """Print the mean loss of each quarter of the steps, with products in both formats."""
    import torch

    from medrov_cli.core.model.learning import muon
    from medrov_cli.core.settings.train import TrainSettings
    from medrov_cli.core.training.run import run_training

    epochs = -(-steps // (count_training_images(dataset) // BATCH))
    curves = {}
    for dtype in (torch.float32, torch.bfloat16):
        losses: list[float] = []
        muon.product_format = lambda _, own=dtype: own
        output = dataset.parent / f"curve-{dtype}"
        config = TrainSettings(
            dataset=dataset, output=output, imgsz=imgsz, epochs=epochs, batch=BATCH, workers=0, device="cpu",
            precision="fp32", offline=True,
        )  # fmt: skip
        run_training(config, lambda p, own=losses: own.append(p.loss) if p.stage == "train" else None)
        curves[dtype] = losses[:steps]
    quarter = steps // 4
    for start in range(0, steps, quarter):
        means = [statistics.mean(losses[start : start + quarter]) for losses in curves.values()]
        print(
            f"steps {start + 1} to {start + quarter}: float32 {means[0]:.3f}, bfloat16 {means[1]:.3f}, "
            f"{means[0] / means[1] - 1:+.1%}"
        )


def main() -> None:
    """Write phantoms, and measure speed or loss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--turns", type=int, default=1)
    pairs = ",".join("-".join(pair) for pair in PAIRS)
    parser.add_argument("--pairs", default=pairs, metavar="PRECISION-OPTIMIZER,...")
    parser.add_argument("--curves", type=int, metavar="STEPS", help="compare losses instead of speed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset = make_dataset(Path(folder))
        if arguments.curves:
            compare_curves(dataset, arguments.imgsz, arguments.curves)
        else:
            chosen = [tuple(pair.split("-")) for pair in arguments.pairs.split(",")]
            compare_speed(dataset, arguments.imgsz, arguments.turns, chosen)


if __name__ == "__main__":
    main()
