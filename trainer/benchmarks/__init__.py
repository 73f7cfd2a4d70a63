"""Benchmarks, each a network on long-tailed images under a fixed protocol, and how one is found."""

from trainer.benchmarks.benchmark import Benchmark
from trainer.benchmarks.registry import BENCHMARKS, get_benchmark

__all__ = ["BENCHMARKS", "Benchmark", "get_benchmark"]
