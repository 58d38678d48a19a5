"""Reading runs: every source, every role, every refusal."""

import copy
import gzip
import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import isoloss as iso
from isoloss.errors import DataError
from isoloss.runs.reading import Runs, as_runs
from isoloss.runs.table import add_columns

TABLE = {
    "params": [100_000_000, 400_000_000, 1_600_000_000],
    "tokens": [2e9, 8e9, 3.2e10],
    "val_loss": [3.21, 2.86, 2.54],
    "run": ["a", "a", "b"],
}
ROLES = {"N": "params", "D": "tokens", "loss": "val_loss", "group": "run"}


def csv_text(table=TABLE, mark=","):
    rows = zip(*table.values(), strict=True)
    return "\n".join([mark.join(table), *(mark.join(f'"{cell}"' for cell in row) for row in rows)]) + "\n"


def write_csv(folder, name="runs.csv"):
    path = folder / name
    path.write_text(csv_text(), encoding="utf-8")
    return path


def write_parquet(folder):
    path = folder / "runs.parquet"
    pl.DataFrame(TABLE).write_parquet(path)
    return path


SOURCES = {
    "dict": lambda _: dict(TABLE),
    "arrays": lambda _: {name: np.array(column) for name, column in TABLE.items()},
    "pandas": lambda _: pd.DataFrame(TABLE, index=[7, 8, 9]),
    "polars": lambda _: pl.DataFrame(TABLE),
    "lazy": lambda _: pl.LazyFrame(TABLE),
    "pyarrow": lambda _: pa.table(TABLE),
    "csv": write_csv,
    "text path": lambda folder: str(write_csv(folder)),
    "parquet": write_parquet,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_same_runs(kind, tmp_path):
    runs = iso.read(SOURCES[kind](tmp_path), **ROLES)
    assert runs.names == ("N", "D", "C", "loss")
    np.testing.assert_array_equal(runs["N"], TABLE["params"])
    np.testing.assert_array_equal(runs["D"], TABLE["tokens"])
    np.testing.assert_array_equal(runs["loss"], TABLE["val_loss"])
    np.testing.assert_allclose(runs["C"], 6 * runs["N"] * runs["D"], rtol=1e-15)
    np.testing.assert_array_equal(runs.group, [0, 0, 1])
    assert runs.group_labels == ("a", "b")
    assert (runs.n, len(runs), runs.dropped, runs.warnings) == (3, 3, (), ())
    assert runs.source.sha256 == iso.read(TABLE, **ROLES).source.sha256


@pytest.mark.parametrize(
    ("kind", "type_"),
    [("dict", dict), ("pandas", pd.DataFrame), ("polars", pl.DataFrame), ("lazy", pl.DataFrame), ("pyarrow", pa.Table)],
)
def test_results_go_out_in_the_frame_that_came_in(kind, type_, tmp_path):
    source = SOURCES[kind](tmp_path)
    runs = iso.read(source, **ROLES)
    frame = runs.to_frame({"x": np.arange(5.0)})
    assert isinstance(frame, type_)
    assert list(frame.keys() if kind == "dict" else iso.read(frame, x="x").names) == ["x"]
    added = add_columns(source, {"loss_pred": [1.0, 2.0, 3.0]})
    assert isinstance(added, type_)
    again = iso.read(added, **ROLES, loss_pred="loss_pred")
    np.testing.assert_array_equal(again["loss_pred"], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(again["N"], TABLE["params"])


def test_a_pandas_index_is_kept():
    frame = pd.DataFrame({"N": [1.0, 2.0]}, index=["x", "y"])
    added = add_columns(frame, {"p": [3.0, 4.0]})
    assert list(added.index) == ["x", "y"]
    assert list(added["p"]) == [3.0, 4.0]
    assert "p" not in frame


def test_files_without_any_frame_library_give_dicts(tmp_path, monkeypatch):
    monkeypatch.setattr("isoloss.runs.table.find_spec", lambda name: None)
    runs = iso.read(write_csv(tmp_path), **ROLES)
    assert isinstance(runs.to_frame({"x": [1.0]}), dict)
    with pytest.raises(ImportError, match=r"pip install 'isoloss\[cli\]'"):
        iso.read(write_parquet(tmp_path), **ROLES)


def test_reading_csv_imports_no_frame_library(tmp_path):
    code = (
        "import sys, isoloss as iso; "
        f"runs = iso.read({str(write_csv(tmp_path))!r}, N='params', D='tokens', loss='val_loss'); "
        "assert runs.n == 3; "
        "print([m for m in ('narwhals', 'pandas', 'polars', 'pyarrow', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffN,D,loss\n1e8,2e9,3.2\n",
        " N , D ,loss\r\n1e8,2e9,3.2\r\n",
        "N;D;loss\n1e8;2e9;3.2\n",
        "N\tD\tloss\n1e8\t2e9\t3.2\n",
        '"N","D","loss"\n"1e8","2e9","3.2"\n\n',
        "\n\nN,D,loss\n\n1e8,2e9,3.2\n   \n",
        'N,D,loss,note\n100M,2B,3.2,"a, b\nc"\n',
        ",N,D,loss\n0,1e8,2e9,3.2\n",
    ],
)
def test_csv_as_programs_write_it(text, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_bytes(text.encode())
    runs = iso.read(path)
    assert (runs["N"][0], runs["D"][0], runs["loss"][0]) == (1e8, 2e9, 3.2)
    assert runs.n == 1


def test_gzipped_and_tab_separated(tmp_path):
    with gzip.open(tmp_path / "runs.tsv.gz", "wt") as stream:
        stream.write(csv_text(mark="\t"))
    assert iso.read(tmp_path / "runs.tsv.gz", **ROLES) == iso.read(TABLE, **ROLES)


def test_batches_are_held_in_tokens():
    table = {"N": [1e8, 1e8], "batch": [256, 512], "seq": [2048, 4096]}
    np.testing.assert_array_equal(iso.read(table)["batch"], [256, 512])
    by_number = iso.read(table, batch_unit="sequences", seq_len=2048)
    np.testing.assert_array_equal(by_number["batch"], [256 * 2048, 512 * 2048])
    by_column = iso.read(table, batch_unit="sequences", seq_len="seq")
    np.testing.assert_array_equal(by_column["batch"], [256 * 2048, 512 * 4096])


@given(st.sampled_from(["N", "D", "C"]))
def test_two_of_n_d_and_c_are_enough(absent):
    full = {"N": np.array([1e8, 3e9]), "D": np.array([2e9, 7e10])}
    full["C"] = 6 * full["N"] * full["D"]
    runs = iso.read({name: column for name, column in full.items() if name != absent})
    for name, column in full.items():
        np.testing.assert_allclose(runs[name], column, rtol=1e-14)
    assert " " in runs.column_of[absent]
    assert runs.names == ("N", "D", "C")


def test_a_compute_column_is_kept_as_given_and_the_difference_noted():
    runs = iso.read({"N": [1e8, 1e8], "D": [2e9, 2e9], "C": [1.2e18, 2.4e18], "loss": [3.0, 3.1]})
    np.testing.assert_array_equal(runs["C"], [1.2e18, 2.4e18])
    assert [notice.code for notice in runs.warnings] == ["compute-not-6nd"]
    assert " times 6ND" in runs.warnings[0].message
    assert " to " not in iso.read({"N": [1e8, 2e8], "D": [1e9, 1e9], "C": [1.2e18, 2.4e18]}).warnings[0].message
    assert runs.warnings[0].details == pytest.approx({"low": 1.0, "high": 2.0})


def test_weights_are_taken_only_when_asked():
    table = {"N": [1.0, 2.0], "weight": [0.0, 3.0]}
    assert iso.read(table).weights is None
    np.testing.assert_array_equal(iso.read(table, weights="weight").weights, [0.0, 3.0])


def test_invalid_rows_can_be_left_out_but_never_silently():
    table = {
        "N": [1e8, -1, 4e8, "x", 8e8],
        "D": [2e9, np.nan, 8e9, 1e9, 2e10],
        "loss": [3.2, 3.0, np.inf, 2.8, 2.7],
        "group": ["a", "b", "c", "d", "e"],
    }
    runs = iso.read(table, drop_invalid=True)
    np.testing.assert_array_equal(runs["N"], [1e8, 8e8])
    assert runs.group_labels == ("a", "e")
    assert sum(d.count for d in runs.dropped) == 3
    assert sorted(row for d in runs.dropped for row in d.rows) == [1, 2, 3]
    assert [n.code for n in runs.warnings] == ["rows-dropped"]
    assert runs.warnings[0].details == {"rows": 3}
    assert "dropped: " in str(runs)
    assert "of 5 rows" in str(runs)
    with pytest.raises(DataError) as caught:
        iso.read({"N": [-1.0], "loss": [1.0]}, drop_invalid=True)
    assert caught.value.code == "data-empty"


def test_where_filters_before_cells_are_checked(tmp_path):
    text = "N,D,loss,keep,kind\n1e8,2e9,3.2,1,a\nbad,2e9,3,0,a\n4e8,8e9,2.9,1,b\n"
    (tmp_path / "runs.csv").write_text(text)
    runs = iso.read(tmp_path / "runs.csv", where={"keep": 1})
    np.testing.assert_array_equal(runs["N"], [1e8, 4e8])
    assert [(d.count, d.rows) for d in runs.dropped] == [(1, (1,))]
    assert iso.read(tmp_path / "runs.csv", where={"keep": "1", "kind": ["b", "c"]}).n == 1
    # Rows keep their numbers in the source.
    with pytest.raises(DataError) as caught:
        iso.read({"N": [1.0, 2.0, -1.0], "keep": [0, 1, 1]}, where={"keep": 1})
    assert caught.value.details["row"] == 2


def test_runs_can_be_selected():
    runs = iso.read(TABLE, **ROLES)
    assert runs.where(runs["N"] > 2e8).n == 2
    assert runs.where(N="400M").n == 1
    assert runs.where(N=["100M", 1.6e9]).n == 2
    assert runs.where(N=("200M", "2B")).n == 2
    only = runs.where(group="b")
    assert (only.n, only.group_labels, list(only.group)) == (1, ("b",), [0])
    assert only.dropped[-1].count == 2
    assert only.source.sha256 != runs.source.sha256
    assert runs.where(np.ones(3, dtype=bool)) is runs


@pytest.mark.parametrize(
    ("select", "code"),
    [
        (lambda r: r.where(N=5), "data-empty"),
        (lambda r: r.where(group="c"), "data-empty"),
        (lambda r: r.where(lr=1.0), "data-missing-role"),
        (lambda r: r.where([True, False]), "data-shape"),
        (lambda r: r.where([0, 1, 2]), "data-shape"),
    ],
)
def test_selections_that_make_no_sense_are_refused(select, code):
    with pytest.raises(DataError) as caught:
        select(iso.read(TABLE, **ROLES))
    assert caught.value.code == code


def test_an_absent_column_is_refused_with_what_could_have_been_meant():
    runs = iso.read({**TABLE, "peak_lr": [1e-3, 1e-3, 1e-3]}, **ROLES)
    with pytest.raises(DataError, match=r"no 'lr' \(peak learning rate\).*unused columns of the source: peak_lr"):
        runs.require("N", "lr")


def test_laws_find_their_own_columns_in_a_dict():
    source = {"x": [1.0, 2.0], "loss": [3.0, 2.0]}
    assert as_runs(source, ["x"]).names == ("loss", "x")
    runs = iso.read(source)
    assert as_runs(runs, []) is runs
    with pytest.raises(DataError, match="no 'x'"):
        as_runs(runs, ["x"])
    assert as_runs(iso.read({"N": [1.0], "D": [2.0]}), ["C"])["C"][0] == 12.0


def test_large_identifiers_are_different_groups():
    ids = [2**60, 2**60 + 1, 2**60]
    for source in (
        pd.DataFrame({"N": [1.0, 2.0, 3.0], "group": ids}),
        pl.DataFrame({"N": [1.0, 2.0, 3.0], "group": ids}),
    ):
        runs = iso.read(source)
        assert runs.group_labels == (str(2**60), str(2**60 + 1))
        np.testing.assert_array_equal(runs.group, [0, 1, 0])


def test_repeated_rows_are_noted():
    runs = iso.read({"N": [1.0, 1.0, 2.0], "loss": [3.0, 3.0, 3.0]})
    assert [n.code for n in runs.warnings] == ["rows-duplicated"]
    assert not iso.read({"N": [1.0, 1.0], "loss": [3.0, 3.1]}).warnings
    assert not iso.read({"N": [1.0, 1.0], "loss": [3.0, 3.0], "group": ["a", "b"]}).warnings


def test_what_n_counts_is_read_off_its_name():
    for column, meaning in [
        ("params_non_embedding", "non-embedding"),
        ("params_no_embed", "non-embedding"),
        ("params_active_non_embedding", "active"),
        ("params_total", "total"),
        ("params", ""),
    ]:
        assert iso.read({column: [1.0]}, N=column).n_counts == meaning
    assert iso.read({"params": [1.0]}, N="params", n_counts="total").n_counts == "total"


def test_the_input_is_copied_and_the_columns_are_read_only():
    N = np.array([1.0, 2.0])
    runs = iso.read({"N": N})
    N[0] = 9.0
    assert runs["N"][0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        runs["N"][0] = 5.0
    with pytest.raises(TypeError):
        runs.columns["N"] = N


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_columns_of_texts_are_kept_as_labels(source, tmp_path):
    runs = iso.read(source(tmp_path), N="params", D="tokens", loss="val_loss", labels="run")
    assert runs["run"].tolist() == [0.0, 0.0, 1.0]
    assert runs.labels == {"run": ("a", "b")}
    assert runs.where(run="b")["N"].tolist() == [1.6e9]
    assert runs.where(run=["a", "b"]) is runs
    assert [str(one) for one in runs.to_frame()["run"]] == ["a", "a", "b"]
    assert "a, b  2 distinct" in str(runs)
    assert "labels" not in iso.read(source(tmp_path), **ROLES).to_dict()
    for back in (Runs.from_dict(json.loads(json.dumps(runs.to_dict()))), pickle.loads(pickle.dumps(runs))):
        assert back.labels == runs.labels
    again = iso.read(runs, n_counts="total")
    assert again.labels == runs.labels
    assert iso.read(runs, labels="run") is runs


def test_labels_are_refused_where_they_mean_nothing():
    table = {**TABLE, "run": ["a", "", "b"]}
    with pytest.raises(DataError, match="column 'run', row 1: is missing") as caught:
        iso.read(table, N="params", D="tokens", loss="val_loss", labels=["run"])
    assert caught.value.code == "data-nonfinite"
    kept = iso.read(table, N="params", D="tokens", loss="val_loss", labels=["run"], drop_invalid=True)
    assert kept.texts("run").tolist() == ["a", "b"]
    with pytest.raises(DataError, match="no run is named 'c'"):
        kept.where(run="c")
    with pytest.raises(DataError, match="labels: there is no column 'runn'"):
        iso.read(TABLE, N="params", D="tokens", labels="runn")
    with pytest.raises(iso.OptionError, match="column 'N' has the role of that name, which holds numbers"):
        iso.read({"N": [1e8], "D": [1e9]}, labels="N")


def test_runs_go_to_json_pickle_and_back_bit_for_bit():
    runs = iso.read(TABLE, **ROLES, where={"run": ["a", "b"]}).where(N=("1M", "1B"))
    again = Runs.from_dict(json.loads(json.dumps(runs.to_dict())))
    for name in runs:
        np.testing.assert_array_equal(again[name], runs[name])
    np.testing.assert_array_equal(again.group, runs.group)
    assert again == runs
    assert again.to_dict() == runs.to_dict()
    assert pickle.loads(pickle.dumps(runs)) == copy.deepcopy(runs) == runs
    assert hash(again) == hash(runs)
    assert runs != 3


@pytest.mark.parametrize(
    "alter",
    [
        lambda d: d["columns"]["loss"].__setitem__(0, 9.0),
        lambda d: d.pop("source"),
        lambda d: d["columns"].__setitem__("loss", ["x"]),
        lambda d: d.__setitem__("columns", None),
    ],
)
def test_altered_stored_runs_are_refused(alter):
    data = iso.read(TABLE, **ROLES).to_dict()
    alter(data)
    with pytest.raises(DataError) as caught:
        Runs.from_dict(data)
    assert caught.value.code == "file-schema"


def test_reading_runs_again():
    runs = iso.read(TABLE, **ROLES)
    assert iso.read(runs) is runs
    renamed = iso.read(runs, x="loss")
    np.testing.assert_array_equal(renamed["x"], runs["loss"])
    assert renamed.group_labels == runs.group_labels


def test_the_card_says_what_was_read():
    runs = iso.read(TABLE, **ROLES).where(N=("1M", "1B"))
    assert str(runs).splitlines() == [
        "2 runs from a dict of arrays",
        "  N      100M .. 400M [parameters]  2 distinct  from 'params'",
        "  D      2.00B .. 8.00B [tokens]  2 distinct  from 'tokens'",
        "  C      1.2e18 .. 1.92e19 [FLOPs]  2 distinct  = 6 N D",
        "  loss   2.86 .. 3.21 [nats per token]  2 distinct  from 'val_loss'",
        "  group  1 groups  from 'run'",
        "  dropped: 1 (not where N = ('1M', '1B')) of 3 rows",
    ]
    assert repr(runs) == "<Runs: 2 runs of N, D, C, loss from a dict of arrays>"


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=30))
def test_csv_keeps_every_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("csv") / "runs.csv"
    path.write_text("x\n" + "\n".join(repr(v) for v in values) + "\n")
    np.testing.assert_array_equal(iso.read(path, x="x")["x"], values)
