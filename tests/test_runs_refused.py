"""What reading runs refuses, by column, row and value."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import isoloss as iso
from isoloss.errors import DataError, OptionError

TABLE = {
    "params": [100_000_000, 400_000_000, 1_600_000_000],
    "tokens": [2e9, 8e9, 3.2e10],
    "val_loss": [3.21, 2.86, 2.54],
    "run": ["a", "a", "b"],
}


def csv_text(table):
    rows = zip(*table.values(), strict=True)
    return "\n".join([",".join(table), *(",".join(f'"{cell}"' for cell in row) for row in rows)]) + "\n"


def cell(**changed):
    table = {"N": [1e8, 2e8, 4e8], "D": [2e9, 4e9, 8e9], "loss": [3.2, 3.0, 2.8]}
    for name, value in changed.items():
        table[name] = [*table.get(name, [1.0, 1.0])[:2], value]
    return table


@pytest.mark.parametrize(
    ("table", "code", "column", "value"),
    [
        (cell(N=-1.0), "data-nonpositive", "N", "-1"),
        (cell(D=0.0), "data-nonpositive", "D", "0"),
        (cell(lr=-1e-4), "data-nonpositive", "lr", "-0.0001"),
        (cell(batch=0), "data-nonpositive", "batch", "0"),
        (cell(C=-6.0), "data-nonpositive", "C", "-6"),
        (cell(N=np.nan), "data-nonfinite", "N", "nan"),
        (cell(loss=np.inf), "data-nonfinite", "loss", "inf"),
        (cell(loss=-np.inf), "data-nonfinite", "loss", "-inf"),
        (cell(loss=None), "data-nonfinite", "loss", ""),
        (cell(D="many"), "data-nonnumeric", "D", "'many'"),
        (cell(loss="2.8B"), "data-nonnumeric", "loss", "'2.8B'"),
        (cell(loss="2,8"), "data-nonnumeric", "loss", "'2,8'"),
    ],
)
@pytest.mark.parametrize("kind", ["dict", "pandas", "polars", "csv"])
def test_bad_cells_are_refused_by_column_row_and_value(kind, table, code, column, value, tmp_path):
    if kind == "polars":
        source = (
            pl.DataFrame(table, strict=False)
            if code != "data-nonnumeric"
            else pl.DataFrame({n: [str(x) for x in c] for n, c in table.items()})
        )
    elif kind == "csv":
        source = tmp_path / "runs.csv"
        source.write_text(csv_text({n: ["" if x is None else x for x in c] for n, c in table.items()}))
    else:
        source = pd.DataFrame(table) if kind == "pandas" else table
    with pytest.raises(DataError) as caught:
        iso.read(source)
    error = caught.value
    assert (error.code, error.details["column"], error.details["row"]) == (code, column, 2)
    assert f"column '{column}'" in str(error)
    assert "row 2" in str(error)
    if kind == "dict":
        assert error.details["value"] == value


def test_the_role_and_the_number_of_further_faults_are_told():
    with pytest.raises(
        DataError,
        match=r"column 'params' \(role N\), row 0: -1 is not above zero; 1 more such cell in it; .* 1 in 'loss'",
    ):
        iso.read({"params": [-1.0, -2.0, 3.0], "loss": [1.0, 2.0, np.nan]}, N="params")


def test_integers_that_wrapped_around_are_refused_as_negative():
    tokens = np.array([3_000_000_000], dtype=np.int64).astype(np.int32)
    with pytest.raises(DataError, match=r"-1\.29497e") as caught:
        iso.read({"N": [1e8], "D": tokens, "loss": [3.0]})
    assert caught.value.code == "data-nonpositive"


@pytest.mark.parametrize(
    "values",
    [
        np.array([1 + 2j]),
        np.array(["2024-01-01"], dtype="M8[D]"),
        [[1.0]],
        [object()],
        np.array([b"x"]),
        1e8,
    ],
)
def test_what_is_no_column_of_numbers_is_refused(values):
    with pytest.raises(DataError) as caught:
        iso.read({"N": values})
    assert caught.value.code in ("data-nonnumeric", "data-shape")
    assert "'N'" in str(caught.value)


def test_masked_and_nullable_cells_count_as_missing():
    masked = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    for source in (
        {"N": masked},
        pd.DataFrame({"N": pd.array([1, None], dtype="Int64")}),
        pl.DataFrame({"N": [1, None]}),
        pa.table({"N": [1.0, None]}),
    ):
        with pytest.raises(DataError, match="missing") as caught:
            iso.read(source)
        assert (caught.value.code, caught.value.details["row"]) == ("data-nonfinite", 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"N": "parms"}, r"no column 'parms' \(role N\) in .*did you mean 'params'.*columns: params, tokens"),
        ({"loss": "Val_Loss"}, "did you mean 'val_loss'"),
        ({"group": "runs"}, "did you mean 'run'"),
        ({"weights": "w"}, "role weight"),
        ({"steps": "step"}, "role steps"),
        ({"N": "params", "where": {"rum": 1}}, "did you mean 'run'"),
        ({"N": "params", "seq_len": "length"}, "no column 'length'"),
    ],
)
def test_missing_columns_are_refused_with_the_nearest_names(options, words):
    table = {**TABLE, "batch": [1, 2, 3]}
    with pytest.raises(DataError, match=words) as caught:
        iso.read(table, **options)
    assert caught.value.code == "data-missing-column"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda p: iso.read({"a": [1.0]}), "data-no-roles"),
        (lambda p: iso.read({"N": []}), "data-empty"),
        (lambda p: iso.read({"N": [1.0, 2.0], "D": [1.0]}), "data-shape"),
        (lambda p: iso.read({"x": [1.0]}, N="x", D="x"), "data-duplicate-column"),
        (lambda p: iso.read(pd.DataFrame([[1.0, 2.0]], columns=["N", "N"])), "data-duplicate-column"),
        (lambda p: iso.read({"batch": [1.0], "N": [1.0]}, batch_unit="sequences"), "data-batch-unit"),
        (lambda p: iso.read(3), "data-source"),
        (lambda p: iso.read(None), "data-source"),
        (lambda p: iso.read(p / "none.csv"), "data-unreadable"),
        (iso.read, "data-unreadable"),
        (lambda p: iso.read({"N": [1.0], "w": [-1.0]}, weights="w"), "data-negative-weight"),
        (lambda p: iso.read({"N": [1.0]}, where={"N": 2}), "data-empty"),
        (lambda p: iso.read({"N": [1.0, 2.0], "group": ["a", None]}), "data-nonfinite"),
    ],
)
def test_other_refusals_have_their_code(make, code, tmp_path):
    with pytest.raises(DataError) as caught:
        make(tmp_path)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("a.csv", b"", "data-unreadable", "is empty"),
        ("a.csv", b"N,D\n", "data-empty", "no rows"),
        ("a.csv", b"N,D,N\n1,2,3\n", "data-duplicate-column", "two columns are named 'N'"),
        ("a.csv", b"N,D\n1,2\n3\n", "data-shape", "row 1: 1 cells under 2"),
        ("a.csv", b"N,D\n1,2\n3,4,5\n", "data-shape", "row 1: 3 cells under 2"),
        ("a.csv", b"N,D\n\xff\xfe,2\n", "data-unreadable", "cannot be read as text"),
        ("a.csv.gz", b"N,D\n1,2\n", "data-unreadable", "cannot be read as text"),
        ("a.parquet", b"not parquet", "data-unreadable", "cannot be read as Parquet"),
        ("a.xlsx", b"PK", "data-source", "'.xlsx' are not read"),
    ],
)
def test_broken_files_are_refused_by_name(name, content, code, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        iso.read(tmp_path / name)
    assert caught.value.code == code


def test_a_file_of_nearly_that_name_is_pointed_out(tmp_path):
    (tmp_path / "sweep_2024.csv").write_text(csv_text(TABLE))
    with pytest.raises(DataError, match=r"did you mean 'sweep_2024\.csv'"):
        iso.read(tmp_path / "sweep_2042.csv")


def test_wrong_options_are_refused():
    with pytest.raises(OptionError, match="batch_unit"):
        iso.read({"N": [1.0], "batch": [1.0]}, batch_unit="rows")
    with pytest.raises(OptionError, match="seq_len"):
        iso.read({"N": [1.0], "batch": [1.0]}, batch_unit="sequences", seq_len=0)
    with pytest.raises(OptionError, match="role 'N'"):
        iso.read({"N": [1.0]}, N=3)
