"""Ablation of training: one changed setting per row, equal numbers of images, several seeds.

    python benchmarks/ablation.py prepare DATA --output runs/ablation
    python benchmarks/ablation.py warm runs/ablation
    python benchmarks/ablation.py run runs/ablation --rows "base;background prompt" --seeds 0,1,2
    python benchmarks/ablation.py table runs/ablation

DATA is the folder of the sources of ``benchmarks/first_edition.yaml``. ``prepare`` writes a dataset of links
to them in which

- the sources of ``OTHER_CENTRES`` have no training image: their classes are trained on other sources, so that
their AP estimates the AP on images of other hospitals;
- the classes of ``NOVEL`` are held out of training: six modalities have at least one;
- the training images of these sources are validation images. Test splits are not used.

``warm`` trains a network from random weights for five epochs, from which every row continues for three: in
the first epochs the seed has more influence than any setting (seeds 0 and 1 differed by 9 points of mAP50).

The rows "grown to s" start from the same network, made wider with equal outputs. The teacher of the row of
distillation is the best row's run with seed 0.

Rows that begin with ``text:`` start from the same network without its text adapter, each with another one.
Rows that begin with ``random weights:`` start from random weights, and depend strongly on the seed. The one
with phantoms is first trained on phantoms (``prepare --phantoms 993`` draws them), for the number of images
of two epochs, and then for three epochs of the dataset; the others for three and five epochs. Rows of YOLOv8n
are closed-set networks, trained by ultralytics (``closed_set.py``) on the same images; one has the optimizer,
rate and number of steps of the row of AdamW from random weights.

``run`` trains each row with one thread per run, and evaluates it on the validation split with all classes
prompted at once. Existing results are not computed again, so that it can be stopped and started again.
Several processes may run in parallel with other rows or seeds. The command of a row is in its
``config.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
OTHER_CENTRES = ("txl_pbc", "dsb2018_histo", "drions", "lidc_nodule_slices")
NOVEL = {
    "left kidney": "ct",
    "right kidney": "ct",
    "intervertebral disc": "mri",
    "malignant breast tumor": "ultrasound",
    "thyroid nodule": "ultrasound",
    "lymphocyte": "histopathology",
    "hard exudates": "fundoscopy",
    "high-grade dysplasia": "endoscopy",
}
NOVEL_ALONE = ("ddti_thyroid",)
"""Sources without a box of another class, which would give negatives only."""

SHARED = {"model": "n", "imgsz": "256", "batch": "16", "workers": "0", "device": "cpu", "optimizer": "adamw"}
COMMON = tuple(word for name, value in SHARED.items() for word in (f"--{name}", value))
WARM = ("--epochs", "5", "--seed", "1")
EPOCHS = ("--epochs", "3", "--close-mosaic", "1")
PHANTOM_EPOCHS = ("--epochs", "4", "--close-mosaic", "1")
PHANTOMS_FIRST = "random weights: phantoms, 3 epochs"
RICHER_TEXTS = ("modality", "definition")
"""Datasets with additional texts of the classes, also in the evaluation."""

TEACHER = "muon-0"
"""Run of the teacher of the row of distillation, which has to exist."""

ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    # row: dataset yaml, options
    "base": ("ablation", ()),
    "text adapter as it is": ("ablation", ("--freeze", "text")),
    "text: as it is": ("ablation", ("--no-text-adapter",)),
    "text: centred": ("ablation", ("--text-start", "centred")),
    "text: centred, fixed": ("ablation", ("--text-start", "centred", "--freeze", "text")),
    "text: whitened": ("ablation", ("--text-start", "whitened")),
    "text: whitened, fixed": ("ablation", ("--text-start", "whitened", "--freeze", "text")),
    "one name a class": ("one-name", ()),
    "names with modality": ("modality", ()),
    "names with definition": ("definition", ()),
    "no presence table": ("no-presence", ()),
    "random negatives alone": ("ablation", ("--negatives", "random")),
    "background prompt": ("ablation", ("--negatives", "random,federated,background")),
    "hard negatives": ("ablation", ("--negatives", "random,federated,hard")),
    "pseudo-labels": ("ablation", ("--pseudo-labels", "--pseudo-score", "0.5", "--pseudo-after", "0")),
    "no mosaics": ("ablation", ("--mosaic", "0")),
    "mosaics alone": ("ablation", ("--mosaic", "1")),
    "no balance": ("ablation", ("--balance", "off")),
    "balance 0.6": ("ablation", ("--balance-power", "0.6")),
    "multi-scale": ("ablation", ("--multi-scale", "0.2")),
    "medical appearance": ("ablation", ("--appearance", "medical")),
    "muon": ("ablation", ("--optimizer", "muon")),
    "muon, rate x 2": ("ablation", ("--optimizer", "muon", "--lr", "2e-3")),
    "muon, text gain x 2": ("ablation", ("--optimizer", "muon", "--text-gain", "1")),
    "rate x 2": ("ablation", ("--lr", "2e-3")),
    "320 px": ("ablation", ("--imgsz", "320")),
    "no moving average": ("ablation", ("--average-decay", "0")),
    "weight decay x 10": ("ablation", ("--weight-decay", "0.5")),
    "box gain x 2": ("ablation", ("--box-gain", "15")),
    "text gain x 2": ("ablation", ("--text-gain", "1")),
    "grown to s": ("ablation", ("--model", "s")),
    "grown to s, 160 px": ("ablation", ("--model", "s", "--imgsz", "160")),
    "random weights: 3 epochs": ("ablation", ("--optimizer", "muon")),
    "random weights: 5 epochs": ("ablation", ("--optimizer", "muon", "--epochs", "5")),
    "random weights: 5 epochs, AdamW": ("ablation", ("--epochs", "5")),
    PHANTOMS_FIRST: ("ablation", ("--optimizer", "muon")),
    "distilled from muon": ("ablation", ("--distill", f"{{runs}}/{TEACHER}/train/best.safetensors")),
}

_ALIKE = "close_mosaic=1 warmup_epochs=1"
CLOSED_SETS = {
    # row: settings of ultralytics
    "YOLOv8n: 5 epochs": _ALIKE,
    "YOLOv8n: 5 epochs, AdamW": f"{_ALIKE} nbs=16 optimizer=AdamW lr0=1e-3",
    "YOLOv8n: 5 epochs, MuSGD": f"{_ALIKE} nbs=16 optimizer=MuSGD lr0=1e-2",
}


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    prepare = actions.add_parser("prepare", help="Write the dataset.")
    prepare.add_argument("data", type=Path)
    prepare.add_argument("--output", type=Path, required=True)
    prepare.add_argument("--phantoms", type=int, help="Number of phantoms of each kind for a warm-up.")
    warm = actions.add_parser("warm", help="Train the network from which rows start.")
    warm.add_argument("folder", type=Path)
    run = actions.add_parser("run", help="Train and evaluate rows.")
    run.add_argument("folder", type=Path)
    run.add_argument(
        "--rows", default="base", help=f"Separated by semicolons, of: {'; '.join([*ROWS, *CLOSED_SETS])}."
    )
    run.add_argument("--seeds", default="0,1,2")
    table = actions.add_parser("table", help="Print the results as Markdown.")
    table.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.action == "prepare":
        write_datasets(options.data, options.output)
        if options.phantoms is not None:
            write_phantoms(options.output, options.phantoms)
    elif options.action == "warm":
        dataset = str(options.folder / "ablation.yaml")
        folder = options.folder / "warm" / "train"
        _medrov(options.folder / "warm.log", "train", dataset, "-o", str(folder), *COMMON, *WARM, "--resume")
        write_without_adapter(folder)
    elif options.action == "run":
        for seed in options.seeds.split(","):
            for row in options.rows.split(";"):
                run_row(options.folder, row.strip(), int(seed))
    else:
        print_tables(options.folder)


def write_datasets(data: Path, output: Path) -> None:
    """Write the sources, the presence table and the yaml of each kind of rows."""
    document = yaml.safe_load((HERE / "first_edition.yaml").read_text(encoding="utf-8"))
    for source in document["sources"]:
        _write_source(data / source, output / "data" / source)
    shutil.copyfile(HERE / document["presence"], output / "presence.csv")
    document |= {"name": "ablation", "root": "data", "presence": "presence.csv", "novel": list(NOVEL)}
    kinds: dict[str, dict[str, Any]] = {
        "ablation": document,
        "one-name": document | {"classes": {name: name for name in document["classes"]}},
        "no-presence": {key: value for key, value in document.items() if key != "presence"},
        "modality": document | {"classes": _with_modalities(document, data)},
        "definition": document | {"classes": _with_definitions(document)},
    }
    for kind, content in kinds.items():
        text = yaml.safe_dump(content, sort_keys=False)
        (output / f"{kind}.yaml").write_text(text, encoding="utf-8")


def write_phantoms(output: Path, count: int) -> None:
    """Draw ``count`` phantoms of each kind, different from those of other sets, and write their dataset."""
    own = output / "phantoms"
    script = [sys.executable, str(EXAMPLES / "make_phantoms.py"), "--training", str(count), "--seed", "23"]
    subprocess.run([*script, "--output", str(own)], check=True)  # noqa: S603
    document = yaml.safe_load((output / "ablation.yaml").read_text(encoding="utf-8"))
    del document["presence"]  # all drawn objects are annotated
    sources = [source for source in document["sources"] if source.startswith("phantom")]
    drawn = {category["name"] for source in sources for category in _coco(own / source)["categories"]}
    document |= {"name": "phantoms", "root": "phantoms", "sources": sources}
    document["classes"] = {name: text for name, text in document["classes"].items() if name in drawn}
    document["novel"] = [name for name in document["novel"] if name in drawn]
    (output / "phantoms.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _coco(source: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((source / "annotations.json").read_text(encoding="utf-8"))
    return document


def _with_modalities(document: dict[str, Any], data: Path) -> dict[str, str]:
    """Return the synonyms of the classes, and "NAME in MODALITY" for every modality that shows the class."""
    texts = dict(document["classes"])
    seen: set[str] = set()
    for source in document["sources"]:
        coco = _coco(data / source)
        modality = coco["info"]["modality"].lower()
        for category in coco["categories"]:
            text = f"{category['name']} in {modality}"
            if text not in seen:
                texts[category["name"]] += f"/{text}"
                seen.add(text)
    return texts


def _with_definitions(document: dict[str, Any]) -> dict[str, str]:
    """Return the synonyms of the classes, and "NAME, DEFINITION" of each."""
    path = Path(__file__).parent / "definitions.yaml"
    definitions = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: f"{others}/{name}, {definitions[name]}" for name, others in document["classes"].items()}


def _write_source(source: Path, folder: Path) -> None:
    coco = _coco(source)
    unseen = source.name in OTHER_CENTRES + NOVEL_ALONE
    for image in coco["images"]:
        if unseen and image["split"] == "train":
            image["split"] = "val"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.json").write_text(json.dumps(coco), encoding="utf-8")
    if not (folder / "images").exists():
        (folder / "images").symlink_to((source / "images").absolute(), target_is_directory=True)


def write_without_adapter(folder: Path) -> None:
    """Write a copy of the best weights without the text adapter, which rows of texts replace."""
    from medrov_cli.core.weights import container

    path = folder / "best.safetensors"
    metadata, tensors = container.read_metadata(path), container.load_tensors(path)
    bare = {name: tensor for name, tensor in tensors.items() if not name.startswith("text_adapter.")}
    architecture = replace(metadata.architecture, text_adapter=False)
    container.save(folder / "without-adapter.safetensors", bare, replace(metadata, architecture=architecture))


def slug(row: str) -> str:
    """Return the name of a row in the form of a folder name."""
    return row.replace(",", "").replace(":", "").replace(" ", "-")


def run_row(folder: Path, row: str, seed: int) -> None:
    """Train a row with a seed and evaluate it, if its result does not exist."""
    run = folder / "runs" / f"{slug(row)}-{seed}"
    report = run / "eval" / "report.json"
    if report.is_file():
        return
    run.mkdir(parents=True, exist_ok=True)
    if row in CLOSED_SETS:
        run_closed_set(folder, run, CLOSED_SETS[row].split(), seed)
        return
    kind, options = ROWS[row]
    yaml_path = str(folder / f"{kind}.yaml")
    start = _start(folder, run, row, seed)
    switches = (option.format(runs=folder / "runs") for option in options)
    train = ("train", yaml_path, "-o", str(run / "train"), *COMMON, *EPOCHS, *start, *switches)
    _medrov(run / "train.log", *train, "--seed", str(seed), "--resume")
    # All rows are evaluated on the same truth; rows of texts with the texts of their training.
    dataset = kind if kind in RICHER_TEXTS else "ablation"
    weights = str(run / "train" / "best.safetensors")
    arguments = ("eval", str(folder / f"{dataset}.yaml"), "--weights", weights)
    measured = ("--split", "val", "--synonyms", "--bootstrap", "0", "-o", str(report.parent), "--overwrite")
    _medrov(run / "eval.log", *arguments, *measured)


def run_closed_set(folder: Path, run: Path, settings: list[str], seed: int) -> None:
    """Train YOLOv8n by ultralytics with its settings, and evaluate it as the other rows."""
    dataset, found = str(folder / "ablation.yaml"), str(run / "val.json")
    script = str(Path(__file__).parent / "closed_set.py")
    train = (script, "train", dataset, "--output", str(run / "train"), "--imgsz", SHARED["imgsz"])
    _python(run / "train.log", *train, "--epochs", "5", "--set", *settings, f"seed={seed}")
    weights = str(run / "train" / "run" / "weights" / "best.pt")
    predict = (script, "predict", dataset, "--weights", weights, "--imgsz", SHARED["imgsz"])
    _python(run / "predict.log", *predict, "--split", "val", "--output", found)
    arguments = ("eval", dataset, "--predictions", found, "--split", "val", "--bootstrap", "0")
    _medrov(run / "eval.log", *arguments, "-o", str(run / "eval"), "--overwrite")


def _start(folder: Path, run: Path, row: str, seed: int) -> tuple[str, ...]:
    """Return the options of the initial weights of a row, after a training on phantoms if it has one."""
    if row == PHANTOMS_FIRST:
        first = run / "phantoms"
        train = ("train", str(folder / "phantoms.yaml"), "-o", str(first), *COMMON, *PHANTOM_EPOCHS)
        _medrov(run / "phantoms.log", *train, "--optimizer", "muon", "--seed", str(seed), "--resume")
        return ("--weights", str(first / "best.safetensors"))
    if row.startswith("random weights:"):
        return ()
    name = "without-adapter" if row.startswith("text:") else "best"
    return ("--weights", str(folder / "warm" / "train" / f"{name}.safetensors"))


def _medrov(log: Path, *arguments: str) -> None:
    _python(log, "-m", "medrov_cli", *arguments)


def _python(log: Path, *arguments: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MEDROV_OFFLINE": "1"}
    with log.open("a", encoding="utf-8") as file:
        subprocess.run(  # noqa: S603
            [sys.executable, *arguments],
            env=environment,
            check=True,
            stdout=file,
            stderr=file,
        )


def figures(report: dict[str, Any]) -> dict[str, float]:
    """Return the figures of a row, in percent, from the report of ``medrov eval``.

    AP at IoU 0.5, a mean over sources or classes: of the training sources (and their mAP50-95), of those of
    other centres, of base and of novel classes, and the harmonic mean of the last two; the fraction of the AP
    that is reached with synonyms (NaN for a closed set); and the false positives of absent classes per image
    at 0.25.
    """
    sources = report["coco"]["presence"]["sources"]
    apart = OTHER_CENTRES + NOVEL_ALONE
    seen = [entry for name, entry in sources.items() if name not in apart and not name.startswith("phantom")]
    words = report["open_vocabulary"]
    absent = report["absent"]
    at = absent["thresholds"].index(0.25)
    return {
        "seen sources": 100 * statistics.fmean(entry["ap50"] for entry in seen),
        "mAP50-95 there": 100 * statistics.fmean(entry["ap"] for entry in seen),
        "other centres": 100 * statistics.fmean(sources[name]["ap50"] for name in OTHER_CENTRES),
        "base classes": 100 * words["base"]["ap50"],
        "novel classes": 100 * words["novel"]["ap50"],
        "harmonic": 100 * words["harmonic"]["ap50"],
        "synonyms, % of AP": 100 * report["synonyms"]["kept"] if report["synonyms"] else float("nan"),
        "absent, per image": absent["false_positives_per_image"][at],
    }


def print_tables(folder: Path) -> None:
    """Print all evaluated rows: those from one network, and those from random weights."""
    start = [row for row in ROWS if not row.startswith("random weights:")]
    nothing = [row for row in [*ROWS, *CLOSED_SETS] if row not in start]
    for rows in (start, nothing):
        _print_table(folder, rows)


def _print_table(folder: Path, rows: list[str]) -> None:
    found: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        paths = sorted((folder / "runs").glob(f"{slug(row)}-[0-9]/eval/report.json"))
        if paths:
            found[row] = [figures(json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    if not found:
        return
    columns = list(next(iter(found.values()))[0])
    print("| row | seeds | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 2) + "|")
    for row, runs in found.items():
        cells = (_cell([run[column] for run in runs]) for column in columns)
        print(f"| {row} | {len(runs)} | " + " | ".join(cells) + " |")
    print()


def _cell(values: list[float]) -> str:
    mean = statistics.fmean(values)
    if math.isnan(mean):
        return "–"
    digits = 2 if mean < 1 else 1
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{spread}"


if __name__ == "__main__":
    main()
