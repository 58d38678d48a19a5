"""Many fits in one call: shapes, agreement with single fits, panels, starts, refusals."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

import isoloss as iso
from isoloss.engine.status import Status
from isoloss.errors import DataError, LawError, OptionError

LAW = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
N = np.geomspace(1e7, 1e10, 12)


def noisy(B, seed=0, noise=0.005):
    rng = np.random.default_rng(seed)
    return LAW(N=N, E=1.8, A=400.0, alpha=0.34) * np.exp(noise * rng.standard_normal((B, len(N))))


def single(x, y, **options):
    return iso.fit(LAW, {"N": x, "D": np.ones_like(x), "loss": y}, **options)


def test_each_row_is_the_single_fit():
    targets = noisy(9)
    table = iso.fit_many(LAW, {"N": N}, targets, objective="squared_log")
    assert table.params.shape == (9, 3)
    assert table.value.shape == table.status.shape == table.iterations.shape == (9,)
    assert table.success.all()
    for k in range(9):
        fit = single(N, targets[k], objective="squared_log")
        assert table.value[k] == pytest.approx(fit.value, rel=1e-9)
        assert table.params[k] == pytest.approx(fit.vector, rel=1e-4)


def test_weights_in_rows_are_a_bootstrap():
    weights = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), size=20).astype(float)
    targets = noisy(1)[0]
    table = iso.fit_many(LAW, {"N": N}, targets, weights=weights, objective="squared_log")
    assert table.params.shape == (20, 3)
    fit = single(N, targets, weights=weights[7], objective="squared_log")
    assert table.value[7] == pytest.approx(fit.value, rel=1e-8)
    both = iso.fit_many(LAW, {"N": N}, noisy(20), weights=weights, objective="squared_log")
    assert both.value[7] == pytest.approx(single(N, noisy(20)[7], weights=weights[7], objective="squared_log").value)


def test_panels_have_their_own_variables():
    x = N * np.array([[1.0], [3.0], [10.0]])
    targets = LAW(N=x, E=1.8, A=400.0, alpha=0.34)
    table = iso.fit_many(LAW, {"N": x}, targets, objective="squared_log")
    assert table.params == pytest.approx(np.tile([1.8, 400.0, 0.34], (3, 1)), rel=1e-5)
    mixed = iso.fit_many(LAW, {"N": x}, targets[0], weights=np.ones(12), starts=4)
    assert len(mixed) == 3
    assert mixed.value[1] == pytest.approx(single(x[1], targets[0], starts=30).value, rel=1e-7)


def test_panel_and_shared_columns_agree():
    targets = noisy(5)
    shared = iso.fit_many(LAW, {"N": N}, targets)
    panel = iso.fit_many(LAW, {"N": np.tile(N, (5, 1))}, targets)
    assert panel.value == pytest.approx(shared.value, rel=1e-9)


@pytest.mark.parametrize("shape", ["(p,)", "(B, p)", "(B, S, p)"])
@pytest.mark.parametrize("panel", [False, True])
def test_starts_of_every_shape(shape, panel):
    start = np.array([1.5, 200.0, 0.3])
    given = {
        "(p,)": start,
        "(B, p)": np.tile(start, (4, 1)),
        "(B, S, p)": np.tile(start, (4, 2, 1)) * [[[1.0]], [[1.1]], [[1.2]], [[0.9]]],
    }
    x = np.tile(N, (4, 1)) if panel else N
    table = iso.fit_many(LAW, {"N": x}, noisy(4), starts=given[shape], objective="squared_log")
    assert table.starts == (2 if shape == "(B, S, p)" else 1)
    assert table.value == pytest.approx(iso.fit_many(LAW, {"N": N}, noisy(4), objective="squared_log").value, rel=1e-8)


def test_rows_of_starts_are_problems_where_nothing_else_says_so():
    starts = np.array([[1.5, 200.0, 0.3], [1.0, 50.0, 0.2], [2.0, 900.0, 0.5]])
    table = iso.fit_many(LAW, {"N": N}, noisy(1)[0], starts=starts, objective="squared_log")
    assert len(table) == 3
    assert table.value == pytest.approx(np.full(3, table.value[0]), rel=1e-9)


def test_the_registrys_start_rule_serves_a_batch():
    D = np.geomspace(1e9, 1e12, 12)[np.random.default_rng(0).permutation(12)]
    bound = iso.laws.get("chinchilla").bind("besiroglu2024")
    targets = bound(N=N, D=D) * np.exp(0.001 * np.random.default_rng(1).standard_normal((6, 12)))
    table = iso.fit_many("chinchilla", {"N": N, "D": D}, targets)
    assert table.starts == 25
    assert table.success.all()
    for k in (0, 5):
        fit = iso.fit("chinchilla", {"N": N, "D": D, "loss": targets[k]})
        assert table.value[k] == pytest.approx(fit.value, rel=1e-7)


def test_fix_tie_and_bounds_hold_in_every_row():
    table = iso.fit_many(LAW, {"N": N}, noisy(5), fix={"E": 1.8}, bounds={"alpha": (0, 0.3)})
    assert np.all(table["E"] == 1.8)
    assert np.all(table["alpha"] <= 0.3)
    assert np.all(table.at_bound[:, 2] == 1)


def test_cutting_into_parts_changes_nothing(monkeypatch):
    targets = noisy(30)
    whole = iso.fit_many(LAW, {"N": N}, targets)
    panel = iso.fit_many(LAW, {"N": np.tile(N, (30, 1))}, targets)
    # By its path, since `isoloss.fit_many` is the function of that name.
    monkeypatch.setattr(import_module("isoloss.fit.many"), "_AT_ONCE", 7 * whole.starts)
    assert np.array_equal(iso.fit_many(LAW, {"N": N}, targets).params, whole.params)
    assert np.array_equal(iso.fit_many(LAW, {"N": np.tile(N, (30, 1))}, targets).params, panel.params)


def test_threads_do_not_matter():
    one, two = (iso.fit_many(LAW, {"N": N}, noisy(40), n_threads=k) for k in (1, 2))
    assert np.array_equal(one.params, two.params)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "dict"])
def test_frames(library):
    if library != "dict":
        pytest.importorskip(library)
    table = iso.fit_many(LAW, {"N": N}, noisy(3))
    assert list(table.to_frame()["E"]) == list(table["E"])
    frame = table.to_frame(library)
    assert np.asarray(frame["alpha"]) == pytest.approx(table["alpha"])
    assert list(np.asarray(frame["success"])) == [True] * 3
    assert set(np.asarray(frame["status"])) <= {status.name.lower() for status in Status}


def test_it_prints_medians_and_statuses():
    text = str(iso.fit_many(LAW, {"N": N}, noisy(12), objective="squared_log"))
    assert text.splitlines()[0].startswith("FitTable(12 fits of E + A / N**alpha: E, A, alpha; 12 converged)")
    assert "12 converged" in text
    assert "median" in text


def test_a_problem_without_enough_points_is_a_status_and_not_an_exception():
    weights = np.ones((2, 12))
    weights[1, 2:] = 0.0
    table = iso.fit_many(LAW, {"N": N}, noisy(1)[0], weights=weights)
    assert table.success.tolist() == [True, False]


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (({"N": N}, np.ones(11)), DataError, "data-shape"),
        (({"N": np.ones((3, 12))}, np.ones((2, 12))), DataError, "data-shape"),
        (({"N": N}, np.ones((2, 2, 12))), DataError, "data-shape"),
        (({"N": N}, np.full(12, np.nan)), DataError, "data-nonfinite"),
        (({"N": N}, ["a"] * 12), DataError, "data-nonnumeric"),
        (({"N": N}, -np.ones(12)), DataError, "data-nonpositive"),
        (({"M": N}, np.ones(12)), DataError, "data-missing-role"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments, kind, code):
    with pytest.raises(kind) as caught:
        iso.fit_many(LAW, *arguments)
    assert caught.value.code == code


def test_other_refusals():
    with pytest.raises(LawError) as caught:
        iso.fit_many(LAW, {"N": N}, noisy(3), starts=np.ones((2, 3)))
    assert caught.value.code == "law-starts"
    with pytest.raises(DataError) as caught:
        iso.fit_many(LAW, {"N": N}, noisy(1)[0], weights=-np.ones(12))
    assert caught.value.code == "data-negative-weight"
    with pytest.raises(OptionError):
        iso.fit_many(LAW, {"N": N}, noisy(1)[0], on_interrupt="ignore")
    with pytest.raises(LawError):
        iso.fit_many("chincilla", {"N": N}, noisy(1)[0])
    with pytest.raises(LawError):
        iso.fit_many(LAW, {"N": N}, noisy(1)[0])["alhpa"]


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
import isoloss as iso

rng = np.random.default_rng(0)
N = np.geomspace(1e7, 1e10, 200)
law = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
targets = law(N=N, E=1.8, A=400.0, alpha=0.34) * np.exp(0.01 * rng.standard_normal((20_000, 200)))
began = []

def interrupt():
    while not began:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    table = iso.fit_many(law, {"N": N}, targets, starts=np.tile([1.0, 1.0, 1.5], (20_000, 1)), objective="absolute_log",
                         progress=lambda done, total: began.append(done), on_interrupt=sys.argv[1])
    statuses = set(table.to_frame("dict")["status"])
    print("returned", len(table), int(table.success.sum()) < 20_000, "cancelled" in statuses)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(("choice", "printed"), [("raise", "interrupted"), ("partial", "returned 20000 True True")])
def test_an_interrupt_raises_or_returns_what_is_finished(choice, printed):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, choice], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert done.stdout.strip() == printed


# Notices -------------------------------------------------------------------------------------------------------------


def told(table):
    return {notice.code: notice for notice in table.warnings}


def test_good_problems_have_no_notices():
    table = iso.fit_many(LAW, {"N": N}, noisy(20), objective="squared_log")
    assert table.warnings == ()
    assert table.flagged == {}


def test_notices_count_problems_and_name_the_worst():
    targets = noisy(6)
    targets[2] = 2.0 + 1e-3 * np.sin(N)  # no trend: A runs to zero
    weights = np.ones((6, 12))
    weights[1, 3:] = 0.0
    weights[4, 2:] = 0.0
    table = iso.fit_many(LAW, {"N": N}, targets, weights=weights, objective="squared_log")
    few = told(table)["few-units"]
    assert (few.severity, few.details["problems"], few.details["of"], few.details["worst"]) == ("serious", 2, 6, 4)
    assert table.flagged["few-units"].tolist() == [False, True, False, False, True, False]
    assert table.points.tolist() == [12, 3, 12, 12, 2, 12]
    assert "2 of 6 problems" in str(table)
    flagged = table.flagged
    np.testing.assert_array_equal(flagged.get("fit-failed", np.zeros(6, bool)), ~table.success)
    np.testing.assert_array_equal(
        flagged.get("at-bound", np.zeros(6, bool)), table.success & table.at_bound.any(axis=1)
    )


def test_bounds_failures_and_labels_are_told():
    law = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 0.2)})
    kinds = np.repeat(["a", "b", "c"], 12)
    flat = {"N": np.tile(N, 3)}
    table = iso.fit_many(law, flat, noisy(3).ravel(), groups=kinds, objective="squared_log")
    bound = told(table)["at-bound"]
    assert bound.details["parameters"] == {"alpha": 3}
    assert bound.message.endswith("(a)")
    hopeless = iso.fit_many("a + log(N + b)", {"N": N / 1e10}, noisy(4), starts=[1.0, -2.0])
    failed = told(hopeless)["fit-failed"]
    assert failed.severity == "serious"
    assert failed.details["problems"] == 4
    assert sum(failed.details["status"].values()) == 4


def test_rivals_are_other_optima_nearly_as_good_and_those_of_single_fits():
    x = np.linspace(0.1, 10.0, 40)
    law = iso.law("3 + (k**2 - 4)**2 + t*k + 0.001*x", vars=["x"])
    targets = 1.0 + 0.01 * np.sin(7.0 * x) + np.zeros((2, 1))
    options = {"objective": "squared_raw", "starts": 64}
    near = iso.fit_many(law, {"x": x}, targets, fix={"t": 1e-4}, **options)
    far = iso.fit_many(law, {"x": x}, targets, fix={"t": 0.5}, **options)
    assert near.rival.tolist() == [True, True]
    assert far.rival.tolist() == [False, False]
    assert told(near)["rival-optimum"].details["problems"] == 2
    for t, expected in ((1e-4, True), (0.5, False)):
        fit = iso.fit(law, {"x": x, "loss": targets[0]}, fix={"t": t}, **options)
        assert ("rival-optimum" in [notice.code for notice in fit.warnings]) == expected


def test_unfinished_and_unsettled_problems_are_told():
    table = iso.fit_many(LAW, {"N": N}, noisy(3), objective="huber_log", delta="auto")
    assert "delta-not-settled" not in table.flagged
    cut = replace(table, status=np.full(3, int(Status["CANCELLED"]), np.uint8), delta_settled=np.zeros(3, bool))
    assert set(cut.flagged) == {"interrupted"}
    loose = replace(table, delta_settled=np.array([True, False, True]))
    assert told(loose)["delta-not-settled"].details["worst"] == 1


def test_pivots_are_those_of_the_points_that_count_in_any_problem():
    law = iso.law("E + A * (N/N0)**-alpha", vars=["N"], pivots={"N0": "geomean"}, positive=["E", "A"])
    weights = np.ones((4, 12))
    weights[:, 8:] = 0.0
    weights[1, 0] = 0.0
    whole = iso.fit_many(law, {"N": N}, noisy(4), weights=weights, objective="squared_log", starts=[1.8, 1.0, 0.3])
    part = iso.fit_many(
        law, {"N": N[:8]}, noisy(4)[:, :8], weights=weights[:, :8], objective="squared_log", starts=[1.8, 1.0, 0.3]
    )
    assert whole.params == pytest.approx(part.params, rel=1e-6)
    only = iso.fit(law, {"N": N[:8], "loss": noisy(4)[0][:8]}, objective="squared_log")
    assert whole.params[0] == pytest.approx(only.vector, rel=1e-5)
