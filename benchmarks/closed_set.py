"""Closed-set baseline: YOLOv8n, trained and run by ultralytics on a medrov dataset.

    python benchmarks/closed_set.py train benchmarks/first_edition.yaml --data-root DATA --output runs/yolov8n
    python benchmarks/closed_set.py predict benchmarks/first_edition.yaml --data-root DATA \
        --weights runs/yolov8n/run/weights/best.pt --split test --output runs/yolov8n/test.json
    medrov eval benchmarks/first_edition.yaml --data-root DATA --predictions runs/yolov8n/test.json

The network starts from random weights, or with ``--start`` from the backbone, the neck and the box branches
of a file of ``medrov weights import``, as medrov does with ``--weights``. It is trained on the same images,
for the same number of epochs, at the same size, without the boxes of novel classes. All settings are
ultralytics' defaults with two exceptions: bf16, as in the training of medrov-n, and no horizontal flip, which
would exchange the patient's left and right. ``--set`` changes others; those for the number of steps of
medrov, with ultralytics' form of Muon or with medrov's AdamW, are

    --set nbs=16 optimizer=MuSGD lr0=1e-2 warmup_epochs=1
    --set nbs=16 optimizer=AdamW lr0=1e-3 warmup_epochs=1

(by default ultralytics chooses optimizer and rate from the numbers of classes and steps, and takes a step
every four batches of 16). ``train`` continues from the last epoch, if there is one.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.settings.choices import SPLITS


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["train", "predict"])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--start", type=Path, metavar="FILE", help="weights of medrov to start from")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--imgsz", type=int, default=352)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="ultralytics' settings")
    options = parser.parse_args()
    dataset = load_dataset(options.dataset, options.data_root)
    if options.step == "train":
        own = dict(word.split("=", 1) for word in options.set)
        shared = {name: getattr(options, name) for name in ("epochs", "imgsz", "batch")}
        train(dataset, options.output, own, options.start, **shared)
    else:
        document = predict(dataset, options.split, options.weights, options.imgsz)
        options.output.write_text(json.dumps(document), encoding="utf-8")


def train(
    dataset: Dataset, output: Path, own: dict[str, str], start: Path | None = None, **shared: int
) -> None:
    """Train YOLOv8n, or continue its training; settings in ``own`` replace ours."""
    os.environ["YOLO_CONFIG_DIR"] = str(output.absolute())  # keeps ultralytics' settings in the run
    from ultralytics import YOLO
    from ultralytics.cfg import smart_value

    last = output / "run" / "weights" / "last.pt"
    model = YOLO(last if last.exists() else "yolov8n.yaml")
    model.add_callback("on_train_start", forward_in_bf16)
    if last.exists():
        model.train(resume=True)
        return
    settings: dict[str, Any] = {
        "data": str(write_dataset(dataset, output / "data")),
        "device": "cpu",
        "amp": False,  # ultralytics has bf16 on CUDA only: see forward_in_bf16
        "fliplr": 0.0,
        "workers": 1,
        "cache": "ram",
        "pretrained": False,
        "project": str(output.absolute()),
        "name": "run",
    }
    settings |= shared | {name: smart_value(value) for name, value in own.items()}
    model.train(trainer=trainer_from(start) if start else None, **settings)


def trainer_from(start: Path) -> type:
    """Return ultralytics' trainer whose network starts with the tensors of ``start`` that it has, too."""
    from safetensors.torch import load_file
    from ultralytics.models.yolo.detect import DetectionTrainer

    def fit(value: Any, own: Any) -> Any:
        """Leave out the input channels of the text attention, which medrov appends to the convolution."""
        return value[:, : own.shape[1]] if own.dim() == 4 else value

    class Trainer(DetectionTrainer):
        def get_model(self, *args: Any, **kwargs: Any) -> Any:
            model = super().get_model(*args, **kwargs)
            own = model.state_dict()
            shared = {name: fit(value, own[name]) for name, value in load_file(start).items() if name in own}
            shared = {name: value for name, value in shared.items() if value.shape == own[name].shape}
            parts = ("model.22.cv3", "num_batches_tracked")  # the classes' branch is new, as in ultralytics
            missing = [name for name in own if name not in shared and not any(part in name for part in parts)]
            if missing:
                raise SystemExit(f"{start}: no tensor for {missing[0]} of YOLOv8n.")
            model.load_state_dict(shared, strict=False)
            sys.stderr.write(f"{len(shared)} of {len(own)} tensors start from {start}\n")
            return model

    return Trainer


def forward_in_bf16(trainer: Any) -> None:
    """Run the network in bfloat16 and channels last, and its loss in float32, as in medrov's training."""
    import torch

    model = trainer.model.to(memory_format=torch.channels_last)
    forward = model.forward

    def floats(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.float()
        if isinstance(value, dict):
            return {key: floats(item) for key, item in value.items()}
        return type(value)(floats(item) for item in value)

    def mixed(batch: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(batch, dict):
            return forward(batch, *args, **kwargs)  # calls the model again, with the images
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = forward(batch.contiguous(memory_format=torch.channels_last), *args, **kwargs)
        return floats(out)

    model.forward = mixed


def write_dataset(dataset: Dataset, folder: Path) -> Path:
    """Write the dataset in ultralytics' format with links to the images, and return its yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in dataset.sources:
        (folder / source.name / "labels").mkdir(parents=True, exist_ok=True)
        images = folder / source.name / "images"
        if not images.exists():
            images.symlink_to((source.folder / "images").absolute(), target_is_directory=True)
    document: dict[str, Any] = {"path": str(folder.absolute()), "names": dict(enumerate(dataset.classes))}
    for split in SPLITS:
        paths = []
        for sample in dataset.samples[split]:
            own = folder / dataset.sources[sample.source_id].name
            paths.append(str((own / "images" / sample.image_path.name).absolute()))
            x0, y0, x1, y1 = (sample.boxes_xyxy / [[sample.width, sample.height] * 2]).T
            rows = np.stack([sample.labels, (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0], 1)
            rows = rows[~np.isin(sample.labels, dataset.novel)]
            lines = "".join(f"{int(row[0])} " + " ".join(f"{v:.6f}" for v in row[1:]) + "\n" for row in rows)
            (own / "labels" / f"{sample.image_path.stem}.txt").write_text(lines, encoding="utf-8")
        (folder / f"{split}.txt").write_text("\n".join(paths) + "\n", encoding="utf-8")
        document[split] = f"{split}.txt"
    target = folder / "dataset.yaml"
    target.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return target


def predict(dataset: Dataset, split: str, weights: Path, imgsz: int) -> dict[str, Any]:
    """Return the predictions of ultralytics' predictor, as a COCO document.

    A box may have several classes, as in ultralytics' validation (and in medrov). Its predictor would keep
    the best class only, which reduces the AP.
    """
    os.environ["YOLO_CONFIG_DIR"] = str(weights.absolute().parent)
    from ultralytics import YOLO
    from ultralytics.utils import nms

    nms.non_max_suppression = functools.partial(nms.non_max_suppression, multi_label=True)
    model = YOLO(weights)
    rows = {name: row for row, name in enumerate(dataset.classes)}
    images, annotations = [], []
    for image_id, sample in enumerate(dataset.samples[split], start=1):
        source = dataset.sources[sample.source_id].name
        images.append({"id": image_id, "file_name": f"{source}/images/{sample.image_path.name}"})
        result = model.predict(
            str(sample.image_path), imgsz=imgsz, conf=0.001, iou=0.6, max_det=300, device="cpu", verbose=False
        )[0].boxes
        for box, score, label in zip(
            result.xyxy.tolist(), result.conf.tolist(), result.cls.tolist(), strict=True
        ):
            annotations.append(
                {
                    "image_id": image_id,
                    "category_id": rows[model.names[int(label)]] + 1,
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "score": score,
                }
            )
        if image_id % 100 == 0:
            sys.stderr.write(f"{image_id} images\n")
    categories = [{"id": row + 1, "name": name} for name, row in rows.items()]
    return {"images": images, "categories": categories, "annotations": annotations}


if __name__ == "__main__":
    main()
