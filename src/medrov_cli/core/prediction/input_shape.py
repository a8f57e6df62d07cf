"""Shape of the model input: squares, or rectangles where weights and engine support them."""

from __future__ import annotations

from dataclasses import replace

from medrov_cli.core.prediction.model_file import ModelFile
from medrov_cli.core.settings.choices import EngineName
from medrov_cli.core.settings.groups import RuntimeSettings


def with_input_shape(file: ModelFile, runtime: RuntimeSettings) -> RuntimeSettings:
    """Return the settings with ``rectangles`` set: as requested, or by the weights, if the engine takes them.

    Raises
    ------
    MedrovError
        ``USAGE``, ``DEPENDENCY_MISSING``: see :func:`medrov_cli.core.engines.open_engine.choose_engine`.
    """
    if runtime.rectangles is not None:
        return runtime
    able = file.exported is None and file.metadata.rectangles
    return replace(runtime, rectangles=able and file.choose_engine(runtime) is not EngineName.TORCH)
