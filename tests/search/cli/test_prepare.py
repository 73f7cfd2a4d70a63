"""``run_search.py prepare``: what it says of a folder, and the file that it writes."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from search.cli.commands import main
from search.cli.prepare import chart
from trainer.benchmarks import get_benchmark
from trainer.prepared import prepare

MakeFolder = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `my pets` with classes of 20 and 2 images, beside which commands run."""
    monkeypatch.chdir(tmp_path)
    return make_folder(tmp_path / "my pets", (20, 2))


def test_a_folder_is_described_and_its_file_declares_the_same_benchmark(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "train" / "class0" / "a.heic").write_text("x")
    assert main(["prepare", str(root)]) == 0
    said = capsys.readouterr().out
    for text in (
        "2 classes, 22 training images (20 to 2 a class), 4 test images (2 a class); "
        "left out 1 file (.heic)",
        "class     train  evaluate  training images, log scale",
        "class1        2         2  █",
        "chosen: resnet8 at 8 pixels",
        "--benchmark my-pets.toml",
    ):
        assert text in said
    assert all(cell_len(line) <= 100 for line in Path("my-pets.toml").read_text().splitlines())
    read, direct = (get_benchmark(name, Path()) for name in ("my-pets.toml", "my pets"))
    assert read == direct
    assert prepare(read, Path("data")) == Path(
        "data/prepared", f"my-pets-{read.data_fingerprint()}.npz"
    )
    assert len(list(Path("data/prepared").iterdir())) == 1


@pytest.mark.parametrize("val", ("valid", None))
def test_validation_stands_in_the_file_and_home_and_variables_are_replaced(
    root: Path,
    val: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("HERE", "HOME"):
        monkeypatch.setenv(name, str(root.parent))
    (root / "test").rename(root / "valid")
    if val is None:
        shutil.rmtree(root / "valid")
    words = ["prepare", "$HERE/my pets", "--output", "my x.toml", "--data-root", "~/here"]
    assert main(words) == 0
    again = f"search.py --benchmark 'my x.toml' --data-root {root.parent / 'here'}\n"
    assert capsys.readouterr().out.endswith(again)
    assert Path("here", "prepared").is_dir()
    read = get_benchmark("my x.toml", Path())
    assert read.folder is not None
    assert (read.folder.val, read.folder.test) == (val or 0.2, None)
    declared = "val = 0.2\n" if val is None else 'val = "valid"\n'
    text = Path("my x.toml").read_text()
    assert declared in text
    assert "search.py --benchmark 'my x.toml'\n" in text


def test_a_file_that_exists_is_kept_unless_told_otherwise(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my-pets.toml").write_text("mine")
    assert main(["prepare", "my pets"]) == 2
    assert "my-pets.toml exists; add --overwrite, or give another" in capsys.readouterr().err
    assert Path("my-pets.toml").read_text() == "mine"
    assert main(["prepare", "my pets", "--overwrite"]) == 0
    assert get_benchmark("my-pets.toml", Path()).name == "my-pets"


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("arguments", "message"),
    (
        (["nowhere"], "nowhere cannot be read (No such file"),
        (["my pets", "--output", "x.tml"], "its name must end in .toml"),
        (["my pets", "--output", "none/x.toml"], "must be in a folder that exists"),
    ),
)
def test_bad_input_is_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_one_sentence(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("search.cli.prepare.write_atomic", full)
    assert main(["prepare", str(root)]) == 2
    assert "my-pets.toml cannot be written (No space left" in capsys.readouterr().err


def test_damaged_images_are_named_and_no_file_is_written(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "test" / "class1" / "000.png").write_text("x")
    assert main(["prepare", str(root)]) == 2
    assert "000.png (it is damaged or in none of" in capsys.readouterr().err
    assert not Path("my-pets.toml").exists()


def test_equal_classes_are_a_note_and_the_name_of_a_benchmark_is_not_taken(
    tmp_path: Path,
    make_folder: MakeFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "resnet8-digitslt", (2, 2))
    assert main(["prepare", "./resnet8-digitslt/train/.."]) == 0
    said = capsys.readouterr().out
    assert "note: class weights cannot act in benchmark 'resnet8-digitslt-images'" in said
    assert Path("resnet8-digitslt-images.toml").is_file()


@pytest.mark.parametrize("encoding", ("utf-8", "ascii"))
def test_a_chart_of_many_classes_shows_both_ends_within_80_columns(
    root: Path, encoding: str
) -> None:
    benchmark = get_benchmark(str(root), Path())
    assert benchmark.folder is not None
    counts = tuple(range(1000, 0, -1))
    names = tuple(f"鳥 {'x' * 40} {count}" for count in counts)
    folder = replace(
        benchmark.folder, class_names=names, train_counts=counts, evaluated_counts=counts
    )
    lines = chart(replace(benchmark, folder=folder), encoding)
    assert max(map(cell_len, lines)) == 80
    assert lines[11] == "... 980 classes of 990 to 11 ..."
    assert (len(lines), lines[-1][-1]) == (22, "█" if encoding == "utf-8" else "#")


def test_bars_of_similar_counts_are_proportional(root: Path) -> None:
    benchmark = get_benchmark(str(root), Path())
    assert benchmark.folder is not None
    folder = replace(benchmark.folder, train_counts=(20, 10))
    heading, *bars = chart(replace(benchmark, folder=folder), "utf-8")
    assert heading.endswith("  training images")
    assert [bar.count("█") for bar in bars] == [53, 26]
