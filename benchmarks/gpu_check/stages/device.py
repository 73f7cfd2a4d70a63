"""Stage that describes the device and measures what it does at best."""

import dataclasses
import importlib.util
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.gpu_check.context import Context
from benchmarks.throughput.floors import best_seconds, ceilings_of

COPIES_MIB = (4, 8, 16, 32, 1024)
GRAPH_NODES = (100, 400)
LAUNCHES = 20
PACKAGES = ("ray", "optuna", "triton", "pytest", "torchvision")
ASKED = "name,driver_version,memory.total,clocks.sm,clocks.mem,power.limit,mig.mode.current"


def run(context: Context) -> None:
    """Tell the software, the device's rates, and what launching work costs."""
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    context.results.put(
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),
        present=[name for name in PACKAGES if importlib.util.find_spec(name)],
        compiler=shutil.which("gcc") or shutil.which("cc"),
        python_header=header.exists(),
    )
    if context.device.type == "cuda":
        context.results.put(nvidia_smi=nvidia_smi())
        copies(context)
        launches(context)
    context.results.put(ceilings=dataclasses.asdict(ceilings_of(context.device)))


def nvidia_smi() -> str:
    command = ["nvidia-smi", f"--query-gpu={ASKED}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return (done.stdout or done.stderr).strip()


def copies(context: Context) -> None:
    """Tell the bandwidth of copies; small ones stay in the cache."""
    for mib in COPIES_MIB:
        source = torch.rand(mib * 2**18, device=context.device)
        target = torch.empty_like(source)
        seconds = best_seconds(partial(target.copy_, source), context.device)
        context.results.put(copy_mib=mib, terabytes_per_second=2 * source.nbytes / seconds / 1e12)


def launches(context: Context) -> None:
    """Tell what a tiny kernel in a CUDA graph costs, and what its launch costs the host."""
    number = torch.zeros(1, device=context.device)
    stream = torch.cuda.Stream(context.device)
    for nodes in GRAPH_NODES:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(stream):
            number.add_(1)
        stream.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(nodes):
                number.add_(1)
        with torch.cuda.stream(stream):
            seconds = best_seconds(graph.replay, context.device)
            host = host_seconds(graph.replay)
        stream.synchronize()
        context.results.put(
            graph_nodes=nodes,
            microseconds_per_node=1e6 * seconds / nodes,
            host_microseconds_per_launch=1e6 * host,
        )


def host_seconds(launch: Callable[[], None]) -> float:
    start = time.perf_counter()
    for _ in range(LAUNCHES):
        launch()
    return (time.perf_counter() - start) / LAUNCHES
