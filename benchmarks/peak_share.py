"""Share of the processor's measured peak that the forward pass of ``detect`` reaches.

    python benchmarks/peak_share.py --imgsz 640

The peak is that of large products of matrices through the same engine (OpenVINO) with the same number of
threads, in float32. The operations of the network are those of its convolutions alone, so that the share is a
lower bound. Both run in turn; the figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line, before the import of numpy

import numpy as np
import onnx
from onnx import helper, shape_inference

from engine_overhead import ours, pictures, timed
from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.engines.openvino_import import load_openvino
from medrov_cli.core.model.loading import load_graph
from medrov_cli.core.weights import resolution

SIDE = 2048
"""Rows and columns of the matrices."""

REPEATS = 8
"""Products of a round."""


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="medrov-n")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    options.precision = "fp32"
    path = resolution.resolve(options.weights)
    product, forward = products(), ours(path, pictures(options.images, options.imgsz), options)
    work = options.images * convolution_operations(path, options.imgsz)
    for run in (product, forward):
        run()
    seconds = [(timed(product), timed(forward)) for _ in range(options.rounds)]
    peaks = [REPEATS * 2 * SIDE**3 / own / 1e9 for own, _ in seconds]
    reached = [work / own / 1e9 for _, own in seconds]
    share = statistics.median(own / peak for own, peak in zip(reached, peaks, strict=True))
    print(f"{work / options.images / 1e9:.2f} Gflop of convolutions an image at {options.imgsz} px")
    print(f"peak {statistics.median(peaks):.0f} Gflop/s, forward {statistics.median(reached):.0f} Gflop/s")
    print(f"forward / peak: {share:.2f}")


def products() -> Callable[[], None]:
    """Return a function that multiplies large matrices in OpenVINO, one product at a time on all threads."""
    openvino = load_openvino()
    values = np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)
    matrix = helper.make_tensor("w", onnx.TensorProto.FLOAT, (SIDE, SIDE), values.tobytes(), raw=True)
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (SIDE, SIDE)) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "product", *([e] for e in ends), [matrix]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    core = openvino.Core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": usable_cores()}
    request = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU", config
    ).create_infer_request()

    def run() -> None:
        for _ in range(REPEATS):
            request.infer({"x": values}, share_inputs=True)

    return run


def convolution_operations(path: Path, imgsz: int) -> int:
    """Return the operations of the convolutions for one image; a product and its sum are two."""
    model = shape_inference.infer_shapes(onnx.load_from_string(load_graph(path, (imgsz, imgsz))))
    kernels = {one.name: list(one.dims) for one in model.graph.initializer}
    shapes = {
        one.name: [d.dim_value for d in one.type.tensor_type.shape.dim] for one in model.graph.value_info
    }
    return sum(
        2 * int(np.prod(shapes[node.output[0]])) * int(np.prod(kernels[node.input[1]][1:]))
        for node in model.graph.node
        if node.op_type == "Conv"
    )


if __name__ == "__main__":
    main()
