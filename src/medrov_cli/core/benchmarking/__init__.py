"""The procedure of ``medrov benchmark``: how fast, and with how much memory, on this machine."""

from medrov_cli.core.benchmarking.config import BenchmarkConfig, Curves, Variant
from medrov_cli.core.benchmarking.procedure import run_benchmark
from medrov_cli.core.runtime.interface import EngineName, Precision

__all__ = ["BenchmarkConfig", "Curves", "EngineName", "Precision", "Variant", "run_benchmark"]
