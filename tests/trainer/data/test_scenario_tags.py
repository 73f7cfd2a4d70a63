"""Tags of images in a table or an .npz file: scenarios of prepared images, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from own_images import arrays, declared, prepared, rows, write_csv
from pyarrow import parquet

from spaces.errors import UserError
from trainer.errors import DataError
from trainer.prepared import changed_images, load, prepare


@pytest.fixture
def here(tmp_path: Path, make_folder: Callable[..., Path]) -> Path:
    """A folder that holds `images`, with classes of 6 and 3 images and 2 test images each."""
    make_folder(tmp_path / "images", (6, 3))
    return tmp_path


LIGHT, WHERE = "<i>night</i>", "'in' \"side\""


def write_tagged(here: Path, kind: str, light: str = LIGHT) -> str:
    """Write images with tags, in two columns, and return what declares them."""
    if kind == "npz":
        tags = {
            "train_light": np.array([light] * 4 + ["day"] * 5),
            "test_light": [light, "", "b", ""],
        }
        np.savez(here / "a.npz", **arrays() | tags, test_place=[1, 2, 1, 1])
        return 'npz = "a.npz"\nscenarios = ["light", "place"]'
    table = [[*row, light if i % 4 else "", WHERE] for i, row in enumerate(rows(here))]
    names = ["path", "label", "split", " Light", "place"]
    if kind == "parquet":
        columns = [[cell or None for cell in column] for column in zip(*table, strict=True)]
        parquet.write_table(pyarrow.table(columns, names=names), here / "rows.parquet")
    else:
        table = [[*row[:4], '"' + row[4].replace('"', '""') + '"'] for row in table]
        write_csv(here, table, header=",".join(names))
    return f'{kind} = "rows.{kind}"\nscenarios = ["LIGHT ", "place"]'


@pytest.mark.parametrize("kind", ("csv", "parquet", "npz"))
def test_columns_of_tags_are_scenarios_and_change_no_other_part_of_the_data(
    here: Path, kind: str
) -> None:
    data = write_tagged(here, kind)
    benchmark, plain = declared(here, data), declared(here, data.split("\n")[0])
    tagged, untagged = prepared(benchmark, here), prepared(plain, here)
    assert tagged.scenarios is not None
    assert untagged.scenarios is None
    for name in ("train_images", "train_labels", "test_images", "test_labels", "half_a"):
        assert np.array_equal(getattr(tagged, name), getattr(untagged, name))
    assert (tagged.mean, tagged.std) == (untagged.mean, untagged.std)
    counted = [(s.name, s.train, s.evaluated) for s in tagged.scenarios.counted(tagged.half_a)]
    assert (
        counted
        == {
            "csv": [
                (f"{LIGHT} (light)", 5, (1, 3)),
                ("untagged (light)", 2, (1, 1)),
                (f"{WHERE} (place)", 7, (2, 4)),
            ],
            "npz": [
                (f"{LIGHT} (light)", 4, (0, 1)),
                ("b (light)", 0, (1, 0)),
                ("day (light)", 5, (0, 0)),
                ("untagged (light)", 0, (1, 1)),
                ("1 (place)", 0, (2, 1)),
                ("2 (place)", 0, (0, 1)),
                ("untagged (place)", 9, (0, 0)),
            ],
        }["csv" if kind == "parquet" else kind]
    )


def test_tags_are_part_of_the_identity_of_images(here: Path) -> None:
    before = declared(here, write_tagged(here, "csv"))
    path = prepare(before, here)
    after = declared(here, write_tagged(here, "csv", "dusk"))
    assert prepared(after, here).scenarios is not None
    assert (
        len({b.data_fingerprint() for b in (before, after, declared(here, 'csv = "rows.csv"'))})
        == 3
    )
    changes = changed_images(after, before.data_fingerprint(), here)
    assert changes == "the same images with other difficulties or tags"
    with np.load(path) as archive:
        content = {name: part for name, part in archive.items() if "scenario" not in name}
    np.savez(path, **content)
    with pytest.raises(DataError, match="has other scenarios than its benchmark: delete it and"):
        load(path, before)


@pytest.mark.parametrize(
    ("tags", "scenarios", "message"),
    (
        ("day", '"lihgt"', "names the column 'lihgt', and .*rows.csv has light beside those of"),
        ("day", '"label"', "names the column 'label', and"),
        ("day", '["light", "Light "]', "column of tags, or a list of up to 8, none twice"),
        ("day", "3", "scenarios is 3; it must be the name of a column of tags, or a list of up"),
        ("day", '"\\u0007"', "it must be the name of a column of tags"),
        ("x" * 10_000, '"light"', r"row 2, has the light 'x{20}\.\.\.': a tag must be at most 100"),
        (
            "a\x1bb",
            '"light"',
            r"has the light 'a\\x1bb': a tag must be at most 100 characters that",
        ),
        ("", '"light"', "has no light for any image that is evaluated: fill it in, or leave it"),
        (None, '"light"', "has 65 different tags in light: they must be at most 64, so group"),
    ),
)
def test_tags_that_cannot_be_scenarios_are_refused(
    here: Path, tags: str | None, scenarios: str, message: str
) -> None:
    table = [[*row, str(i) if tags is None else tags] for i, row in enumerate(rows(here) * 5)]
    write_csv(here, table, header="path,label,split,light")
    with pytest.raises(UserError, match=message):
        declared(here, f'csv = "rows.csv"\nscenarios = {scenarios}')


@pytest.mark.parametrize(
    ("data", "message"),
    (
        ('root = "images"\nscenarios = "light"', "root is a folder: give csv, parquet or npz"),
        ('npz = "a.npz"\nscenarios = "labels"', "train_labels must be .9,., text or whole numbers"),
        (
            'npz = "a.npz"\nscenarios = "light"',
            "no array train_light, nor of another split .train_im",
        ),
    ),
)
def test_scenarios_that_are_no_tags_are_refused(here: Path, data: str, message: str) -> None:
    np.savez(here / "a.npz", **arrays())
    with pytest.raises(UserError, match=message):
        declared(here, data)
