"""Class embeddings folded into the matrices of the network."""

from __future__ import annotations

from dataclasses import dataclass

from medrov_cli.core.records.frame import Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class FoldedText:
    """Set of classes as input of a network without torch; see :mod:`medrov_cli.core.model.folding`.

    Attributes
    ----------
    kernels, constants
        Arrays of each level, float32, (classes, c) and (classes, 1): logits are ``kernel @ h + constant``.
    guides
        Array of each text-guided attention, float32, (heads, texts, width).
    """

    kernels: tuple[Float32Array, ...]
    constants: tuple[Float32Array, ...]
    guides: tuple[Float32Array, ...]

    def inputs(self) -> dict[str, Float32Array]:
        """Return the arrays by the names of a graph's inputs."""
        named = {f"kernel{i}": array for i, array in enumerate(self.kernels)}
        named |= {f"constant{i}": array for i, array in enumerate(self.constants)}
        return named | {f"guide{i}": array for i, array in enumerate(self.guides)}
