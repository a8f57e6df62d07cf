"""Timing of ``medrov train`` against ultralytics' trainer of YOLO-World.

    python benchmarks/train_speed.py benchmarks/first_edition.yaml --data-root DATA --model n --imgsz 320 \
        --batch 16 --images 960 --repeats 2 --output runs/train_speed.json

Both train YOLO-World v2 of the same scale from random weights on the same images, drawn once from the
dataset. Each run is a separate process, and the trainers run in turn. The first epoch warms up; the next ones
are timed, without start-up, validation and checkpoints. Memory is the largest sum over the process and its
data workers with shared pages counted once (PSS), sampled twice per second during the run. Linux only.

medrov runs by its command line with its defaults. Ultralytics' WorldTrainer runs with its defaults, except:

- the embeddings of class names are a fixed table of random unit vectors of 512 values, since CLIP would have
to be downloaded; both trainers embed all names once, before the first step;
- images are kept in memory (``cache='ram'``), as in medrov; no plots, no mixed precision (ultralytics has
none on a CPU) and one validation, at the end.

Three rows are WorldTrainer's: with its defaults (on a CPU no worker, and one thread fewer than cores); with
the threads and workers of medrov; and in addition with bf16 and channels last, which ultralytics does not
offer (``closed_set.forward_in_bf16``). With ``--precision fp32`` there are two: medrov in fp32, and
WorldTrainer with its threads and workers. Mosaics are not switched off in the last epochs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from closed_set import forward_in_bf16, write_dataset
from medrov_cli.core.base.environment import workers_for
from medrov_cli.core.datasets.dataset import Dataset, load_dataset

DEFAULTS = {"imgsz": 320, "batch": 16, "images": 960, "epochs": 1, "repeats": 2, "seed": 0}
DEFAULTS |= {"threads": os.cpu_count() or 1, "workers": workers_for("cpu")}
"""Number of timed epochs; threads and workers are the defaults of medrov."""

VAL_IMAGES = 16
"""Number of images for the validation that both trainers require; it is not timed."""

MEMORY_INTERVAL_S = 0.5

MEDROV = "medrov"
AS_IT_COMES = "WorldTrainer, defaults"
PLAIN = "WorldTrainer, threads and workers of medrov"
STRONGER = "the same, bf16 and channels last"
TRAINERS = (MEDROV, AS_IT_COMES, PLAIN, STRONGER)


def main() -> None:
    """Run the script."""
    if sys.argv[1:2] == ["--ultralytics"]:
        train_ultralytics(json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--model", choices=list("nsmlx"), default="n")
    for name, default in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument(
        "--precision",
        choices=["auto", "fp32"],
        default="auto",
        help="Number format of medrov; fp32: of both.",
    )
    parser.add_argument("--output", type=Path, help="JSON file with every run.")
    options = parser.parse_args()
    settings = {k: v for k, v in vars(options).items() if k not in ("data_root", "output", "dataset")}
    settings["images"] -= settings["images"] % settings["batch"]  # medrov omits an incomplete batch
    with tempfile.TemporaryDirectory(prefix="train_speed") as name:
        own = write_subset(options.dataset, options.data_root, Path(name), settings)
        theirs = write_for_ultralytics(load_dataset(own), Path(name) / "ultralytics")
        runs: list[dict[str, Any]] = []
        trainers = TRAINERS if options.precision == "auto" else (MEDROV, PLAIN)
        for trainer in trainers * options.repeats:
            folder = Path(name) / f"run{len(runs)}"
            folder.mkdir()
            figures = measure(trainer, own if trainer == MEDROV else theirs, folder, settings)
            runs.append({"trainer": trainer} | figures)
            sys.stderr.write(f"{json.dumps(runs[-1])}\n")
    document = {"settings": settings | {"dataset": options.dataset.name}, "machine": machine(), "runs": runs}
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(as_table(document))


def write_subset(path: Path, root: Path | None, folder: Path, settings: dict[str, Any]) -> Path:
    """Write a dataset of a random part of the images, as links, and return its yaml."""
    dataset = load_dataset(path, root)
    rng = np.random.default_rng(settings["seed"])
    chosen: dict[int, set[int]] = {row: set() for row in range(len(dataset.sources))}
    for split, count in (("train", settings["images"]), ("val", VAL_IMAGES)):
        samples = dataset.samples[split]
        if len(samples) < count:
            raise SystemExit(f"{path} has {len(samples)} {split} images, {count} are required")
        for index in rng.choice(len(samples), count, replace=False):
            chosen[samples[index].source_id].add(samples[index].image_id)
    for row, source in enumerate(dataset.sources):
        coco = json.loads((source.folder / "annotations.json").read_text(encoding="utf-8"))
        coco["images"] = [image for image in coco["images"] if image["id"] in chosen[row]]
        coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] in chosen[row]]
        images = folder / "data" / source.name / "images"
        images.mkdir(parents=True)
        for name in (image["file_name"] for image in coco["images"]):
            (images / name).symlink_to((source.folder / "images" / name).absolute())
        (images.parent / "annotations.json").write_text(json.dumps(coco), encoding="utf-8")
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["root"] = "data"
    document["sources"] = [{"path": s.name, "modality": s.modality.value} for s in dataset.sources]
    if "presence" in document:
        document["presence"] = str((path.parent / document["presence"]).absolute())
    target = folder / "dataset.yaml"
    target.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return target


def write_for_ultralytics(dataset: Dataset, folder: Path) -> Path:
    """Write the dataset in ultralytics' format, with synonyms as texts, and return its yaml."""
    target = write_dataset(dataset, folder)
    document = yaml.safe_load(target.read_text(encoding="utf-8"))
    document["names"] = {
        row: "/".join((name, *dataset.synonyms.get(name, ()))) for row, name in enumerate(dataset.classes)
    }
    target.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return target


def measure(trainer: str, dataset: Path, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Train in a separate process; return images per second of the timed epochs, and memory."""
    epochs = 1 + settings["epochs"]
    if trainer == MEDROV:
        command = [sys.executable, "-m", "medrov_cli", "train", str(dataset), "--output", str(folder / "run")]
        for key in ("model", "imgsz", "batch", "seed", "workers", "precision"):
            command += [f"--{key}", str(settings[key])]
        command += ["--epochs", str(epochs), "--close-mosaic", "0", "--device", "cpu", "--optimizer", "adamw"]
    else:
        child = settings | {"dataset": str(dataset), "folder": str(folder), "epochs": epochs}
        child |= {"bf16": trainer == STRONGER, "own_defaults": trainer == AS_IT_COMES}
        command = [sys.executable, str(Path(__file__).absolute()), "--ultralytics", json.dumps(child)]
    environment = os.environ | {"OMP_NUM_THREADS": str(settings["threads"])}  # torch's threads
    environment |= {"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603
        memory = watch_memory(process)
    if process.returncode != 0:
        tail = (folder / "log").read_text(encoding="utf-8", errors="replace")[-3000:]
        raise SystemExit(f"{trainer} ended with {process.returncode}:\n{tail}")
    if trainer == MEDROV:
        lines = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        seconds = [json.loads(line)["seconds"]["train"] for line in lines]
    else:
        seconds = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
    speed = settings["images"] * settings["epochs"] / sum(seconds[1:])
    return {"images_per_second": speed, "seconds_of_epochs": seconds} | memory


def watch_memory(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Wait for the end; return the peak memory of the process, alone and with its children, in MiB."""
    alone = together = 0.0
    top = psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):  # a process may end while it is read
            sizes = [one.memory_full_info().pss / 2**20 for one in (top, *top.children(recursive=True))]
            alone, together = max(alone, sizes[0]), max(together, sum(sizes))
        time.sleep(MEMORY_INTERVAL_S)
    return {"peak_mib": together, "peak_mib_without_workers": alone}


def train_ultralytics(settings: dict[str, Any]) -> None:
    """Train with ultralytics' WorldTrainer, and write the seconds of each epoch."""
    import torch
    from ultralytics.models.yolo.world.train import WorldTrainer
    from ultralytics.nn.tasks import WorldModel

    table: dict[str, torch.Tensor] = {}

    def text_vectors(_: Any, texts: list[str], *__: Any, **___: Any) -> torch.Tensor:
        for text in texts:
            table.setdefault(text, torch.nn.functional.normalize(torch.randn(512), dim=0))
        return torch.stack([table[text] for text in texts]).unsqueeze(0)

    WorldModel.get_text_pe = text_vectors
    seconds: list[float] = []
    started = 0.0

    def start(trainer: Any) -> None:
        nonlocal started
        images = len(trainer.train_loader.dataset)
        if images != settings["images"]:
            raise SystemExit(f"ultralytics found {images} usable images of {settings['images']}")
        if not settings["own_defaults"]:
            torch.set_num_threads(settings["threads"])  # ultralytics leaves one core free of threads
        started = time.perf_counter()

    def end(_: Any) -> None:
        seconds.append(time.perf_counter() - started)

    trainer = WorldTrainer(
        overrides={
            "model": f"yolov8{settings['model']}-worldv2.yaml",
            "data": settings["dataset"],
            "project": settings["folder"],
            "device": "cpu",
            "cache": "ram",
            "close_mosaic": 0,
        }
        | dict.fromkeys(("amp", "val", "plots", "pretrained"), False)
        | {key: settings[key] for key in ("epochs", "imgsz", "batch", "seed")}
    )
    if not settings["own_defaults"]:
        trainer.args.workers = settings["workers"]  # ultralytics has set them to 0
    trainer.add_callback("on_train_epoch_start", start)
    trainer.add_callback("on_train_epoch_end", end)
    if settings["bf16"]:
        trainer.add_callback("on_train_start", forward_in_bf16)
    trainer.train()
    Path(settings["folder"], "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return the properties of the machine and the versions."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    versions = {name: version(name) for name in ("medrov", "ultralytics", "torch")}
    return {"cpu": (names or [platform.machine()])[0], "cores": os.cpu_count(), "versions": versions}


def as_table(document: dict[str, Any]) -> str:
    """Return the runs as a Markdown table: medians, ranges, and ratios of runs of the same round."""
    settings, where = document["settings"], document["machine"]
    lines = [
        f"YOLO-World v2, scale {settings['model']}, {settings['imgsz']} px, batch {settings['batch']}, "
        f"{settings['images']} images per epoch; {where['cpu']}, {where['cores']} cores, "
        f"threads: {settings['threads']}, data workers: {settings['workers']}; "
        + ", ".join(f"{name} {number}" for name, number in where["versions"].items())
        + f"; median of {settings['repeats']} (range).",
        "",
        "| trainer | images/s | medrov is faster by | peak memory, MiB | of it without workers, MiB |",
        "|---|---|---|---|---|",
    ]
    by_trainer = {name: [r for r in document["runs"] if r["trainer"] == name] for name in TRAINERS}
    by_trainer = {name: runs for name, runs in by_trainer.items() if runs}
    ours = [run["images_per_second"] for run in by_trainer[MEDROV]]
    for name, runs in by_trainer.items():
        speeds = [run["images_per_second"] for run in runs]
        ratios = [own / other for own, other in zip(ours, speeds, strict=True)]
        ratio = "" if name == MEDROV else f"{_spread(ratios, 2)} times"
        alone, together = (max(run[f"peak_mib{key}"] for run in runs) for key in ("_without_workers", ""))
        lines.append(f"| {name} | {_spread(speeds, 1)} | {ratio} | {together:.0f} | {alone:.0f} |")
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
