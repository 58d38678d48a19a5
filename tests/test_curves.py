"""Reading tables of loss curves: what is kept, what is left out and said so, what is refused and how."""

import gzip
import json
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import isoloss as iso
from isoloss.curves.reading import recognised
from isoloss.errors import DataError, IsolossError, OptionError

S = iso.schedules


@pytest.fixture(scope="module")
def table():
    return iso.simulate.curves(steps=2000, every=20)


@pytest.fixture(scope="module")
def curves(table):
    return iso.read_curves(table)


def test_the_runs_their_schedules_and_losses_are_as_written(table, curves):
    assert curves.runs == ("constant", "cosine", "wsd", "linear", "two_stage")
    wsd = curves["wsd"]
    rows = (table["run"] == "wsd") & (table["step"] >= 125)
    np.testing.assert_array_equal(wsd.step, table["step"][rows])
    np.testing.assert_array_equal(wsd.loss, table["loss"][rows])
    np.testing.assert_allclose(wsd.lr, table["lr"][rows], rtol=1e-12)
    assert wsd.kind == "wsd"


def test_a_logged_warm_up_is_found_and_left_out_and_that_is_said(table, curves):
    # The warm-up ends at step 125, between two logged steps; by the second a line or a cosine has fallen a little.
    assert curves["constant"].schedule.warmup == 125
    assert all(curve.schedule.warmup in (124, 125) for curve in curves)
    (dropped,) = curves.dropped
    assert (dropped.count, dropped.reason) == (5 * 6, "steps of the warm-up")
    assert all(table["step"][row] <= 125 for row in dropped.rows)
    assert dropped.count + curves.n == len(table["loss"])
    assert "30 (steps of the warm-up)" in str(curves)
    everything = iso.read_curves(table, after=0)
    assert everything.n == len(table["loss"])
    assert everything.dropped == ()


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "pandas", "polars", "pyarrow"])
def test_all_sources_give_the_same_curves(table, curves, kind, tmp_path):
    frame = pd.DataFrame(table)
    source = {"pandas": frame, "polars": pl.DataFrame(table), "pyarrow": pa.table(table)}.get(kind)
    if source is None:
        source = tmp_path / f"curves.{kind}"
        if kind == "parquet":
            frame.to_parquet(source)
        else:
            text = frame.to_csv(index=False).encode()
            source.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    again = iso.read_curves(source)
    assert again.sha256 == curves.sha256
    assert again.runs == curves.runs


def test_where_finds_runs_schedules_labels_and_ranges():
    table = {"step": [1, 2] * 4, "loss": [3.0, 2.9] * 4, "lr": [1e-3] * 8}
    table |= {"size": [25] * 4 + [100] * 4, "schedule": ["wsd_1_2", "wsd_1_2", "wsdld_1", "wsdld_1"] * 2}
    curves = iso.read_curves(
        {**table, "split": ["fit"] * 6 + ["test"] * 2}, run=["size", "schedule"], N="size", split="split"
    )
    assert curves.runs == ("25 wsd_1_2", "25 wsdld_1", "100 wsd_1_2", "100 wsdld_1")
    assert curves.where(schedule="wsd").runs == ("25 wsd_1_2", "100 wsd_1_2")
    assert curves.where(schedule=["wsd", "wsdld_1"]).runs == curves.runs
    assert curves.where(N=(50, 200), schedule="wsdld").runs == ("100 wsdld_1",)
    assert curves.where(N=25).runs == ("25 wsd_1_2", "25 wsdld_1")
    assert curves.where(split="test").runs == ("100 wsdld_1",)
    assert curves.where(run="25 wsd_1_2")[0].constants == {"N": 25.0}
    with pytest.raises(DataError, match="no curve is left where schedule = 'cosine'; schedules: wsd_1_2, wsdld_1"):
        curves.where(schedule="cosine")
    with pytest.raises(DataError, match="did you mean 'split'"):
        curves.where(spilt="test")


@pytest.mark.parametrize("kind", ["constant", "cosine", "wsd", "linear"])
def test_schedules_without_a_name_are_recognised_by_their_shape(table, kind):
    without = {name: column for name, column in table.items() if name != "schedule"}
    assert iso.read_curves(without).where(schedule=kind).runs == (kind,)


def test_a_change_that_stands_alone_is_a_jump_and_not_a_slope(curves):
    lr = curves["two_stage"].schedule.values
    assert lr[999] == pytest.approx(3e-4)
    assert lr[1000] == pytest.approx(9e-5)
    table = {"step": [10, 20, 30, 40, 50], "loss": [3.0] * 5, "lr": [1.0, 1.0, 0.5, 0.5, 0.25]}
    between = {
        jumps: iso.read_curves(table, jumps=jumps)[0].schedule.at([25, 45]).tolist() for jumps in (None, True, False)
    }
    assert between == {None: [1.0, 0.5], True: [1.0, 0.5], False: [0.75, 0.375]}


def test_shapes_that_are_none_of_the_known_ones_are_other():
    assert recognised(S.from_array(1.0 + 0.5 * np.sin(np.arange(200) / 9))) == "other"
    assert recognised(S.from_array([1.0] * 50 + [0.3] * 50)) == "multi_step"
    values = S.inverse_sqrt(steps=1000, peak=1.0, warmup=10).values
    assert recognised(S.from_array(values[1:], warmup=10)) == "inverse_sqrt"


def test_steps_in_any_order_are_sorted_and_interleaved_runs_told_apart():
    table = {
        "step": [3, 1, 2, 2, 1],
        "loss": [3.0, 5.0, 4.0, 8.0, 9.0],
        "run": ["a", "a", "a", "b", "b"],
        "lr": [1.0] * 5,
    }
    curves = iso.read_curves(table)
    assert curves["a"].loss.tolist() == [5.0, 4.0, 3.0]
    assert curves["b"].loss.tolist() == [9.0, 8.0]


def test_thinning_keeps_the_last_loss_and_counts_the_others(curves):
    tenth = curves.thin(every=10)
    assert {c.step[-1] for c in tenth} == {2000}
    assert tenth.dropped[-1].count == curves.n - tenth.n
    assert tenth.dropped[-1].reason == "thinned: every 10"
    few = curves.thin(points=12, spacing="log")
    assert all(c.n <= 12 for c in few)
    assert all(c.step[0] == 140 and c.step[-1] == 2000 for c in few)
    ratios = np.diff(np.log(few["cosine"].step))
    assert ratios.max() / ratios.min() < 1.5
    assert "thinned: 12 points of each curve, log" in str(few)
    assert curves.thin(points=10_000) is curves
    for wrong in ({}, {"every": 2, "points": 3}, {"every": 0}, {"points": 2.5}, {"points": 5, "spacing": "cubic"}):
        with pytest.raises(OptionError):
            curves.thin(**wrong)


def test_rows_that_are_left_out_on_request_are_said():
    table = {"step": [0, 1, 2, 3], "loss": [9.0, 4.0, np.nan, 3.0], "lr": [1.0] * 4, "phase": ["x", "x", "x", "x"]}
    curves = iso.read_curves(table, drop_invalid=True, where={"phase": "x"})
    assert curves.n == 2
    assert [(d.count, d.reason) for d in curves.dropped] == [
        (1, "loss is missing"),
        (1, "step 0 comes before any update"),
    ]
    assert [notice.code for notice in curves.warnings] == ["rows-dropped"]


GOOD = {"step": [1, 2, 3], "loss": [4.0, 3.5, 3.0], "lr": [1e-3, 1e-3, 5e-4]}


@pytest.mark.parametrize(
    ("changes", "options", "code", "words"),
    [
        ({"step": [1, 2, 2]}, {}, "curve-steps", "column 'step', row 2: step 2 of run 'all' was already in row 1"),
        ({"step": [1, 2, 2.5]}, {}, "curve-steps", "column 'step', row 2: 2.5 is not a whole number"),
        ({"step": [1, -2, 3]}, {}, "data-nonpositive", "column 'step', row 1: -2 is below zero"),
        ({"lr": [1e-3, -1e-3, 0]}, {}, "data-nonpositive", "column 'lr', row 1: -0.001 is below zero"),
        ({"loss": [4.0, np.inf, 3.0]}, {}, "data-nonfinite", "column 'loss', row 1: inf is infinite"),
        ({"loss": ["4.0", "n/a", "3.0"]}, {}, "data-nonfinite", "column 'loss', row 1: n/a is missing"),
        ({"loss": ["4.0", "low", "3.0"]}, {}, "data-nonnumeric", "column 'loss', row 1: 'low' is not a number"),
        ({"n": [1e8, 1e8, 2e8]}, {"N": "n"}, "curve-constant", "column 'n', row 2"),
        ({"n": [0, 0, 0]}, {"N": "n"}, "data-nonpositive", "column 'n' \\(role N\\), row 0: 0 is not above zero"),
        (
            {"schedule": ["a", "a", "b"]},
            {},
            "curve-constant",
            "column 'schedule', row 2: b where run 'all' began with a",
        ),
        ({"run": ["a", None, "a"]}, {}, "data-nonfinite", "column 'run', row 1: is missing"),
        ({}, {"loss": "los"}, "data-missing-column", "did you mean 'loss'"),
        ({}, {"split": "part"}, "data-missing-column", "no column 'part' \\(split\\)"),
        ({"lr": None}, {}, "data-missing-role", "run 'all' has no learning rate"),
        ({"loss": None}, {}, "data-missing-role", "no column 'loss'"),
        ({}, {"where": {"step": 9}}, "data-empty", "no row"),
        ({}, {"after": 3}, "data-empty", "no loss is left"),
        ({"step": [], "loss": [], "lr": []}, {}, "data-empty", "no rows"),
    ],
)
def test_bad_tables_are_refused_by_column_row_and_value(changes, options, code, words):
    table = {name: column for name, column in {**GOOD, **changes}.items() if column is not None}
    with pytest.raises(DataError, match=words) as caught:
        iso.read_curves(table, **options)
    assert caught.value.code == code


def test_exact_schedules_must_agree_with_what_was_logged():
    exact = S.from_array([1e-3, 1e-3, 5e-4, 1e-4])
    for given in ({"all": exact}, lambda name: exact if name == "all" else None):
        assert iso.read_curves(GOOD, schedules=given)[0].schedule is exact
    without = {name: GOOD[name] for name in ("step", "loss")}
    assert iso.read_curves(without, schedules={"all": exact})[0].schedule is exact
    with pytest.raises(DataError, match=r"row 2: 0.0005 at step 3 of run 'all'.* has 0.001") as caught:
        iso.read_curves(GOOD, schedules={"all": S.constant(steps=3, peak=1e-3)})
    assert caught.value.code == "curve-schedule"
    with pytest.raises(DataError, match="row 2: step 3 of run 'all' lies beyond"):
        iso.read_curves(GOOD, schedules={"all": S.constant(steps=2, peak=1e-3)})


def test_what_is_assumed_before_the_first_logged_step_is_said():
    late = {**GOOD, "step": [100, 200, 300]}
    (notice,) = iso.read_curves(late).warnings
    assert notice.code == "curve-start-assumed"
    assert "up to 100" in notice.message
    for warmup in (0, 50):
        curves = iso.read_curves(late, warmup=warmup)
        assert curves.warnings == ()
        assert curves[0].schedule.values[25] == pytest.approx(1e-3 if warmup == 0 else 5e-4)


def test_curves_left_out_are_counted_and_take_their_notices_along():
    table = {"step": [100, 200, 1, 2], "loss": [3.0, 2.9, 3.1, 3.0], "lr": [1e-3] * 4, "run": ["a", "a", "b", "b"]}
    both = iso.read_curves(table, run="run")
    (notice,) = both.warnings
    assert notice.details == {"first": {"a": 100}}
    assert both.where(run="a").warnings == (notice,)
    rest = both.where(run="b")
    assert rest.warnings == ()
    assert [(d.count, d.reason) for d in rest.dropped] == [(2, "not where run = 'b'")]
    assert both.where(run=["a", "b"]) is both
    two = iso.read_curves({**table, "step": [100, 200, 50, 60]}, run="run")
    assert "up to 50) is not known in 1 of" in two.where(run="b").warnings[0].message


def test_curves_come_back_from_json_and_pickle(curves):
    for again in (iso.Curves.from_dict(json.loads(json.dumps(curves.to_dict()))), pickle.loads(pickle.dumps(curves))):
        assert again.sha256 == curves.sha256
        assert str(again) == str(curves)
    with pytest.raises(IsolossError) as caught:
        iso.Curves.from_dict({"curves": [{}]})
    assert caught.value.code == "file-schema"


def test_a_figure_of_curves_has_a_line_for_each(curves):
    axes = curves.plot()
    assert [line.get_label() for line in axes.get_lines()] == list(curves.runs)
    np.testing.assert_array_equal(axes.get_lines()[1].get_ydata(), curves["cosine"].loss)
