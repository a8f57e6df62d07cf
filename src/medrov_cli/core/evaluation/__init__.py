"""The procedure behind ``medrov eval``, and the validation of a training epoch."""

from medrov_cli.core.evaluation.config import EvalConfig, parse_hit
from medrov_cli.core.evaluation.detection import SelectionConfig
from medrov_cli.core.evaluation.procedure import EvalResult, export_truth, run_evaluation
from medrov_cli.core.runtime.interface import EngineName, Precision

__all__ = [
    "EngineName",
    "EvalConfig",
    "EvalResult",
    "Precision",
    "SelectionConfig",
    "export_truth",
    "parse_hit",
    "run_evaluation",
]
