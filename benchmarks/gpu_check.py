"""Check and timing of the path of a GPU: parity with the CPU, speed, memory, a training step.

Run it by ``benchmarks/gpu_check.sh``. The published weights are compared with the CPU; speed is measured with
random weights, which compute as much. ``--arithmetic`` prints what operations and bytes let expect, on any
machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from medrov_cli.core.engines.interface import SelectionRule
from medrov_cli.core.engines.torch_engine import TorchEngine, format_on
from medrov_cli.core.model.checkpoint import detector_tensors
from medrov_cli.core.model.folded_network import FoldedNetwork
from medrov_cli.core.model.folding import fold_text
from medrov_cli.core.model.fusion import fuse
from medrov_cli.core.model.learning.assigner import Targets
from medrov_cli.core.model.learning.criterion import DetectionCriterion
from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.records.boxes import iou_matrix
from medrov_cli.core.records.detections import ClassCandidates, Detections
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings

LARGEST_SCORE_DIFFERENCE = 1e-3
"""Limit of the difference of a score in fp32 from the CPU."""

PEAKS = {"H100 SXM": (989e12, 67e12, 3.35e12), "T4": (65e12, 8.1e12, 0.32e12)}
"""Published peaks (NVIDIA's data sheets): fp16 with tensor cores and fp32, in 1/s, and memory in bytes/s."""

CLASSES, MANY_CLASSES = 41, 1000
SELECTION = SelectionSettings(conf=0.25, raw_scores=True)


@dataclass(frozen=True)
class Plan:
    """Extent of the check.

    Attributes
    ----------
    device
        Torch's device.
    scales, batches, imgsz
        Networks, images per pass and side of the input.
    seconds
        Time of the whole check; what does not fit is left out, and says so.
    repeats
        Seconds of one measurement.
    images
        Files of the end-to-end timing, and their sides.
    """

    device: str
    scales: tuple[str, ...]
    batches: tuple[int, ...]
    imgsz: int
    seconds: float
    repeats: float
    images: int
    side: int

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Return the number formats of the device."""
        if self.device == "cpu":
            return (Precision.FP32, Precision.BF16)
        return (Precision.FP32, Precision.FP16, Precision.BF16)


def draw_images(count: int, side: int) -> list[UInt8Array]:
    """Return images with round objects on a textured ground, uint8, (side, side, 3)."""
    images = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        ground = cv2.resize(rng.integers(60, 200, (12, 12, 3), dtype=np.uint8), (side, side))
        for _ in range(12):
            place, radius = rng.integers(0, side, 2).tolist(), int(rng.integers(side // 40, side // 10))
            cv2.circle(ground, place, radius, rng.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
        images.append(np.asarray(ground, dtype=np.uint8))
    return images


@dataclass(frozen=True)
class JpegFile:
    """An image file that OpenCV decodes; see :class:`medrov_cli.core.records.frame.ImageSource`."""

    path: str

    def frames(self) -> Iterator[Frame]:
        """Yield the image."""
        yield Frame(np.asarray(cv2.imread(self.path)[..., ::-1], dtype=np.uint8), self.path)


def random_engine(scale: str, device: str, precision: Precision, imgsz: int, classes: int) -> TorchEngine:
    """Return an engine of a network with random weights and random classes."""
    torch.manual_seed(0)
    detector = Detector(Architecture(scale)).eval()
    text = np.random.default_rng(0).standard_normal((classes, 512)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    folded = fold_text(detector_tensors(detector), text)
    return TorchEngine(FoldedNetwork(fuse(detector)), folded, imgsz, device, precision)


def wait(device: str) -> None:
    """Wait for the device."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def repeat(action: Callable[[], Any], seconds: float, device: str) -> list[float]:
    """Return the milliseconds of each call of an action; the first call is not timed, on a GPU three."""
    for _ in range(3 if device.startswith("cuda") else 1):
        action()
    wait(device)
    times: list[float] = []
    while sum(times) < seconds * 1000 or not times:
        started = time.perf_counter()
        action()
        wait(device)
        times.append((time.perf_counter() - started) * 1000)
    return times


def check_parity(plan: Plan) -> dict[str, Any]:
    """Return the differences of the published weights on the device from those on the CPU in fp32."""
    images = draw_images(8 if plan.scales != ("n",) else 2, plan.side)
    results: dict[str, Any] = {}

    def opened(device: str, precision: Precision) -> Predictor:
        runtime = RuntimeSettings(
            device=device, engine=EngineName.TORCH, precision=precision, imgsz=plan.imgsz, offline=True
        )
        return Predictor.open(
            classes=None, runtime=runtime, selection=SelectionSettings(0.05, raw_scores=True)
        )

    with opened("cpu", Precision.FP32) as cpu:
        squares = np.stack([cpu.prepare(Frame(image, "drawn")).input_rgb for image in images])
        expected = cpu.engine.infer(squares)
        wanted = _selected(cpu, squares)
    for precision in plan.precisions:
        with opened(plan.device, precision) as predictor:
            found = predictor.engine.infer(squares)
            scores = max(
                float(np.abs(a.scores - b.scores).max()) for a, b in zip(expected, found, strict=True)
            )
            sides = max(
                float(np.abs(a.boxes_xyxy - b.boxes_xyxy)[a.scores.max(1) > 0.05].max(initial=0))
                for a, b in zip(expected, found, strict=True)
            )
            results[precision] = {
                "largest_score_difference": scores,
                "largest_box_difference_px": sides,
                "equal_detections": agreement(wanted, _selected(predictor, squares)),
            }
    results["is_equal"] = results["fp32"]["largest_score_difference"] <= LARGEST_SCORE_DIFFERENCE
    return results


def _selected(predictor: Predictor, squares: UInt8Array) -> list[ClassCandidates]:
    found = predictor.infer(squares)
    return [one for one in found if isinstance(one, ClassCandidates)]


def agreement(first: Sequence[ClassCandidates], second: Sequence[ClassCandidates]) -> float:
    """Return the share of detections of both with a partner of the class at an IoU of 0.9 in the other."""
    matched = total = 0
    for one, other in zip(first, second, strict=True):
        equal = one.labels[:, None] == other.labels[None]
        overlap = (iou_matrix(one.boxes_xyxy, other.boxes_xyxy) >= 0.9) & equal
        matched += int(overlap.any(1).sum()) + int(overlap.any(0).sum())
        total += len(one.labels) + len(other.labels)
    return 1.0 if not total else matched / total


def time_forward(plan: Plan, engine: TorchEngine, rule: SelectionRule, batch: int) -> dict[str, Any]:
    """Return milliseconds of a batch: network and selection alone, and with copies and suppression."""
    images = np.zeros((batch, plan.imgsz, plan.imgsz, 3), dtype=np.uint8)
    images[:] = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
    call = repeat(lambda: engine.select(images, rule), plan.repeats, plan.device)
    alone, launched = _time_step(plan, engine.step_of(rule).forward, images)
    return {
        "forward_ms": percentiles(alone),
        "forward_without_graph_ms": percentiles(launched),
        "call_ms": percentiles(call),
        "forward_images_per_s": round(1000 * batch / statistics.median(alone), 1),
        "call_images_per_s": round(1000 * batch / statistics.median(call), 1),
    }


def _time_step(
    plan: Plan, step: Callable[[Tensor], Any], images_rgb: UInt8Array
) -> tuple[list[float], list[float]]:
    """Return milliseconds of a step on images on the device, recorded as a graph and launched."""
    images = torch.from_numpy(images_rgb).to(plan.device)
    with torch.inference_mode():
        if not plan.device.startswith("cuda"):
            times = repeat(lambda: step(images), plan.repeats, plan.device)
            return times, times
        launched = _time_on_gpu(lambda: step(images), plan.repeats)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(images)
        return _time_on_gpu(graph.replay, plan.repeats), launched


def _time_on_gpu(action: Callable[[], Any], seconds: float) -> list[float]:
    """Return milliseconds by CUDA's events, of calls without a wait in between."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(5):
            action()
        side.synchronize()
        started, events = time.perf_counter(), []
        while time.perf_counter() - started < seconds or len(events) < 20:
            pair = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            pair[0].record()
            action()
            pair[1].record()
            events.append(pair)
            if len(events) % 50 == 0:
                side.synchronize()
        side.synchronize()
    return [first.elapsed_time(last) for first, last in events]


def time_end_to_end(plan: Plan, engine: TorchEngine, batch: int, files: Sequence[JpegFile]) -> float:
    """Return images per second from JPEG files to detections, with reading in eight threads."""
    names = tuple(f"class {number}" for number in range(CLASSES))
    with Predictor.from_engine(engine, names, SELECTION) as predictor:
        for _ in predictor.stream(files[: 2 * batch], batch=batch):  # records the pass
            pass
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < plan.repeats or count < len(files):
            for item in predictor.stream(files, batch=batch, threads=8, on_failure="raise"):
                count += isinstance(item, Detections)
        return round(count / (time.perf_counter() - started), 1)


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """Return median and 99th percentile."""
    return {
        "p50": round(float(np.percentile(times, 50)), 3),
        "p99": round(float(np.percentile(times, 99)), 3),
    }


def time_training(plan: Plan) -> dict[str, Any]:
    """Return milliseconds and peak memory of a training step of the largest network in bf16."""
    scale, batch = plan.scales[-1], 16 if plan.device != "cpu" else 2
    torch.manual_seed(0)
    detector = Detector(Architecture(scale)).to(plan.device, memory_format=torch.channels_last).train()
    criterion, optimizer = DetectionCriterion(detector.head), torch.optim.AdamW(detector.parameters(), 1e-4)
    images = torch.rand(batch, 3, plan.imgsz, plan.imgsz, device=plan.device)
    images = images.to(memory_format=torch.channels_last)
    text = nn.functional.normalize(torch.randn(CLASSES, 512, device=plan.device), dim=1)
    rows = torch.arange(batch * 8, device=plan.device)
    corners = torch.rand(len(rows), 2, device=plan.device) * plan.imgsz / 2
    targets = Targets(rows // 8, rows % CLASSES, torch.cat((corners, corners + plan.imgsz / 6), 1))

    def step() -> None:
        with torch.autocast(plan.device.partition(":")[0], torch.bfloat16):
            raw = detector(images, text)
            loss = criterion(raw, targets)
        loss.total.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    reset_memory(plan.device)
    times = repeat(step, plan.repeats, plan.device)
    return {
        "scale": scale,
        "batch": batch,
        "step_ms": percentiles(times),
        "images_per_s": round(1000 * batch / statistics.median(times), 1),
        "peak_memory_mb": peak_memory(plan.device),
    }


def reset_memory(device: str) -> None:
    """Free the cache of memory and restart the measurement of its peak."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> int | None:
    """Return the largest memory of tensors on the device, in MB."""
    return round(torch.cuda.max_memory_allocated() / 1e6) if device.startswith("cuda") else None


def time_networks(plan: Plan, deadline: float, files: Sequence[JpegFile]) -> Iterator[dict[str, Any]]:
    """Yield the figures of each scale, format and batch; after the deadline, rows without figures."""
    rule = SelectionRule(np.full(CLASSES, SELECTION.conf or 0.25), SELECTION.iou)
    many = SelectionRule(np.full(MANY_CLASSES, SELECTION.conf or 0.25), SELECTION.iou)
    # The most important rows first: time may end.
    for precision in (plan.precisions[1], *plan.precisions[:1], *plan.precisions[2:]):
        for scale in plan.scales:
            engine = random_engine(scale, plan.device, precision, plan.imgsz, CLASSES)
            for batch in plan.batches:
                row = {"scale": scale, "precision": precision.value, "batch": batch, "classes": CLASSES}
                if time.monotonic() > deadline:
                    yield row | {"left_out": "time"}
                    continue
                reset_memory(plan.device)
                row |= time_forward(plan, engine, rule, batch)
                row["end_to_end_images_per_s"] = time_end_to_end(plan, engine, batch, files)
                yield row | {"peak_memory_mb": peak_memory(plan.device)}
    if time.monotonic() < deadline:
        engine = random_engine(plan.scales[0], plan.device, plan.precisions[1], plan.imgsz, MANY_CLASSES)
        batch = plan.batches[min(1, len(plan.batches) - 1)]
        row = {"scale": plan.scales[0], "precision": plan.precisions[1].value, "batch": batch}
        yield row | {"classes": MANY_CLASSES} | time_forward(plan, engine, many, batch)


def arithmetic(imgsz: int, scales: Sequence[str]) -> list[dict[str, Any]]:
    """Return operations and bytes of the convolutions of an image, and the time that peaks allow, in ms."""
    rows = []
    for scale in scales:
        detector = Detector(Architecture(scale)).eval()
        totals = {"operations": 0.0, "values": 0.0}

        def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, own: Any = totals) -> None:
            weight = module.weight
            own["operations"] += 2.0 * output.numel() * weight[0].numel()
            own["values"] += inputs[0].numel() + output.numel()

        for module in detector.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(count)
        with torch.inference_mode():
            detector(torch.zeros(1, 3, imgsz, imgsz), torch.zeros(CLASSES, 512))
        row: dict[str, Any] = {
            "scale": scale,
            "gflop": round(totals["operations"] / 1e9, 1),
            "fp16_mb": round(totals["values"] * 2 / 1e6),
        }
        for name, (half, single, memory) in PEAKS.items():
            for label, peak, size in (("fp16", half, 2), ("fp32", single, 4)):
                seconds = max(totals["operations"] / peak, totals["values"] * size / memory)
                row[f"{name} {label}"] = round(seconds * 1000, 3)
        rows.append(row)
    return rows


def describe(device: str) -> dict[str, Any]:
    """Return names and versions."""
    found: dict[str, Any] = {"device": device, "torch": torch.__version__, "cuda": torch.version.cuda}
    if device.startswith("cuda"):
        own = torch.cuda.get_device_properties(device)
        found |= {"gpu": own.name, "memory_gb": round(own.total_memory / 1e9, 1)}
        found["capability"] = f"{own.major}.{own.minor}"
        found["auto"] = format_on("cuda", Precision.AUTO).value
    return found


def markdown(document: dict[str, Any]) -> str:
    """Return the document as tables."""
    machine = document["machine"]
    name, version, seconds = machine.get("gpu", "CPU"), machine["torch"], document["seconds"]
    lines = [f"{name}, torch {version}, {document['imgsz']} px, {seconds:.0f} s", ""]
    lines += table("format", "largest score difference", "largest box difference, px", "equal detections")
    for name, row in document["parity"].items():
        if isinstance(row, dict):
            lines.append(
                f"| {name} | {row['largest_score_difference']:.1e} | {row['largest_box_difference_px']:.2g} "
                f"| {100 * row['equal_detections']:.1f} % |"
            )
    lines.append("")
    lines += table(
        *("scale", "format", "batch", "classes", "forward alone, ms p50 (p99)", "without graph"),
        *("call, ms p50 (p99)", "images/s: forward", "call", "end to end", "peak MB"),
    )
    for row in document["speed"]:
        start = f"| {row['scale']} | {row['precision']} | {row['batch']} | {row['classes']} |"
        if "left_out" in row:
            lines.append(f"{start} not run | | | | | | |")
            continue
        both = [f"{row[key]['p50']} ({row[key]['p99']})" for key in ("forward_ms", "call_ms")]
        lines.append(
            f"{start} {both[0]} | {row['forward_without_graph_ms']['p50']} | {both[1]} "
            f"| {row['forward_images_per_s']} | {row['call_images_per_s']} "
            f"| {row.get('end_to_end_images_per_s', '')} | {row.get('peak_memory_mb') or ''} |"
        )
    training = document["training"]
    lines += ["", f"Training step of {training['scale']}, batch {training['batch']}, bf16: "]
    lines[-1] += (
        f"{training['step_ms']['p50']} ms, {training['images_per_s']} images/s, "
        f"peak {training['peak_memory_mb'] or 'not measured'} MB"
    )
    return "\n".join(lines) + "\n"


def table(*columns: str) -> list[str]:
    """Return the head of a table."""
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]


def run(plan: Plan) -> dict[str, Any]:
    """Return the document of the whole check."""
    started = time.monotonic()
    document: dict[str, Any] = {"schema": "medrov.gpu_check/1", "imgsz": plan.imgsz}
    document["machine"] = describe(plan.device)
    document["parity"] = check_parity(plan)
    say(f"parity: {json.dumps(document['parity'])}")
    document["training"] = time_training(plan)
    say(f"training: {json.dumps(document['training'])}")
    document["speed"] = []
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, image in enumerate(draw_images(plan.images, plan.side)):
            path = Path(folder) / f"{number}.jpg"
            cv2.imwrite(str(path), image)
            files.append(JpegFile(str(path)))
        for row in time_networks(plan, started + plan.seconds, files):
            say(json.dumps(row))
            document["speed"].append(row)
    document["seconds"] = round(time.monotonic() - started, 1)
    return document


def say(text: str) -> None:
    """Report progress."""
    sys.stderr.write(text + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=Path(), help="folder of gpu_check.json and gpu_check.md"
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=440, help="time of the whole check")
    parser.add_argument("--tiny", action="store_true", help="a try of the script: one network, few pixels")
    parser.add_argument("--arithmetic", action="store_true", help="print operations and bytes, and end")
    options = parser.parse_args(arguments)
    if options.arithmetic:
        print(json.dumps(arithmetic(64 if options.tiny else 640, ("n",) if options.tiny else tuple("nsml"))))
        return 0
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        say("torch finds no CUDA device; --device cpu --tiny tries the script without one")
        return 2
    if options.tiny:
        plan = Plan(options.device, ("n",), (1, 2), 64, options.seconds, 0.01, 4, 96)
    else:
        plan = Plan(options.device, ("n", "s", "m", "l"), (1, 8, 32), 640, options.seconds, 1.5, 128, 1024)
    document = run(plan)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "gpu_check.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = markdown(document)
    (options.output / "gpu_check.md").write_text(text, encoding="utf-8")
    print(text)
    if not document["parity"]["is_equal"]:
        say("the device gives other scores than the CPU in fp32")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
