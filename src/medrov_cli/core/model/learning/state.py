"""State of a training run on disk, as safetensors, so that resuming executes no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from medrov_cli.core.base.documents import parse_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.model.learning.moving_average import MovingAverage


def save_state(
    path: Path,
    model: nn.Module,
    average: MovingAverage[Any],
    optimizer: torch.optim.Optimizer,
    facts: dict[str, Any],
) -> None:
    """Write the complete state of training, and ``facts`` (JSON), to one file."""
    tensors: dict[str, Tensor] = {}
    for prefix, module in (("model", model), ("average", average.model)):
        for name, value in module.state_dict().items():
            tensors[f"{prefix}/{name}"] = value.detach().cpu().contiguous()
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimizer/{index}/{key}"] = torch.as_tensor(value).cpu().contiguous()
    document = {**facts, "average_steps": average.steps}
    with whole_file(path) as temporary:
        data = save(_unshared(tensors), metadata={"state": json.dumps(document, sort_keys=True)})
        temporary.write_bytes(data)


def load_state(
    path: Path, model: nn.Module, average: MovingAverage[Any], optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Restore a saved state, and return its facts.

    Raises
    ------
    MedrovError
        ``WEIGHTS_CORRUPT`` if the file is damaged or belongs to another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = parse_json(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        for prefix, module in (("model", model), ("average", average.model)):
            start = f"{prefix}/"
            part = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
            module.load_state_dict(part)
        groups = optimizer.state_dict()
        groups["state"] = _optimizer_state(tensors)
        optimizer.load_state_dict(groups)
        _align_strides(optimizer)
        average.steps = int(facts["average_steps"])
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{path} is not a state of this training run",
            "Start again in an empty --output folder.",
        ) from error
    return facts


def _optimizer_state(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = tensor
    return state


def _align_strides(optimizer: torch.optim.Optimizer) -> None:
    # A fused step requires the same memory format for a weight and its moments, so that moments of a
    # channels-last weight must be channels-last, too; a file stores them in contiguous order.
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            for key, value in state.items():
                if value.shape == parameter.shape:
                    state[key] = torch.empty_like(parameter).copy_(value)


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # safetensors refuses tensors that share memory.
    return {name: tensor.clone() for name, tensor in tensors.items()}
