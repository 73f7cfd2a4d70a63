"""Data that several test files share."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from fault_table import FAULTS, Tell
from filelock import FileLock
from PIL import Image

# Whoever runs the tests may have a cluster, and a token for it: they are not the tests' business.
os.environ["RAY_ADDRESS"] = "local"
os.environ["RAY_AUTH_TOKEN_PATH"] = str(Path(__file__).parent / "no-token")
os.environ.pop("RAY_AUTH_TOKEN", None)
# Under nohup and in the background of a script, too, searches heed a hang-up and Ctrl-C: a program
# inherits that a signal is ignored, not that it is handled.
for number, handler in (
    (signal.SIGHUP, lambda *_: None),
    (signal.SIGINT, signal.default_int_handler),
):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)

# Networks and matrices here are small: threads cost more than they give, and wait for each other
# where several processes share the cores.
torch.set_num_threads(1)

DATA_SETS = ("cifar-100-python", "cifar10lt-ir100")
ARCHIVES = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let each test begin on one thread, and leave one, whatever is configured meanwhile."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_token_is_left() -> Iterator[None]:
    """Take away what a command that was called in this process said about Ray's token."""
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_OVERRIDE_JOB_RUNTIME_ENV")
    before = {name: os.environ[name] for name in names if name in os.environ}
    yield
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(before)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", type=Path, help="file to which tests of faults add a JSON line")


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Tell:
    """Notes what a test saw of a fault, for the table in the documentation."""
    path: Path | None = request.config.getoption("--faults")

    def tell(name: str, seen: str, repeated: str, kept: str) -> None:
        assert name in FAULTS
        row = {"fault": name, "seen": seen, "repeated": repeated, "kept": kept}
        if path:
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")

    return tell


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh data root with the real data sets; the test is skipped where there are none.

    They are unpacked from ../shared/data beside the repository, once for all processes of a run, or
    taken from the folder that LONGTAIL_DATA_ROOT names, to which nothing is written.
    """
    unpacked = os.environ.get("LONGTAIL_DATA_ROOT")
    if unpacked is None:
        if not (ARCHIVES / "unpack").is_file():
            pytest.skip(f"no real data: {ARCHIVES} is absent and LONGTAIL_DATA_ROOT is not set")
        of_run = tmp_path_factory.getbasetemp()
        if "PYTEST_XDIST_WORKER" in os.environ:
            of_run = of_run.parent
        with FileLock(of_run / "data_root.lock"):
            subprocess.run([ARCHIVES / "unpack", of_run / "data_root"], check=True)
        return of_run / "data_root"
    data_root = tmp_path_factory.mktemp("data_root")
    for name in DATA_SETS:
        source = Path(unpacked).absolute() / name
        if not source.is_dir():
            pytest.skip(f"no real data: {source} is absent (LONGTAIL_DATA_ROOT)")
        (data_root / name).symlink_to(source)
    return data_root


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A temporary folder into whose path Ray's sockets fit."""
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """A temporary folder, in memory where possible, for a search without Ray."""
    from twin import fast_folder  # here, for it brings the whole search layer

    with fast_folder() as folder:
        yield folder


@pytest.fixture
def gpu() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device("cuda", 0)


@pytest.fixture
def journal() -> Iterator[Path]:
    """The path of a record, in memory where possible."""
    from twin import fast_folder  # here, for it brings the whole search layer

    with fast_folder() as folder:
        yield folder / "record.jsonl"


@pytest.fixture
def stopping() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that must not outlive the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def make_folder() -> Callable[..., Path]:
    """Writes a folder of small random PNG images, `counts` for train and `test` of each class."""

    def make(
        root: Path, counts: Sequence[int], test: int = 2, size: tuple[int, int] = (8, 8)
    ) -> Path:
        random = np.random.default_rng(0)
        for label, count in enumerate(counts):
            for split, number in (("train", count), ("test", test)):
                folder = root / split / f"class{label}"
                folder.mkdir(parents=True)
                for index in range(number):
                    pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(folder / f"{index:03}.png")
        return root

    return make
