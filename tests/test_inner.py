"""Inner tables: what they refuse, and laws that sum over them evaluated, fitted, resampled, predicted and stored."""

import pickle

import numpy as np
import pytest
from scipy.special import logsumexp

import isoloss as iso
from isoloss.errors import DataError, LawError
from isoloss.inner import Inner, Table

# A gain for every drop of the learning rate, after Luo et al. (2025).
TEXT = "E + A*S1**-r - B*sum_over(k, k.drop*(1 - (1 + C*(S1 - k.S))**-b))"
LAW = iso.law(TEXT, vars=["S1"], positive=["E", "A", "B", "C"], bounds={"r": (0, 2), "b": (0, 3)})
TRUTH = {"E": 2.5, "A": 0.7, "r": 0.5, "B": 2.0, "C": 3.0, "b": 0.6}


def curve(points, rows, fall):
    """A falling rate at some points; rows sum the points up to their own."""
    rate = 1.0 - fall * np.arange(points + 1) / points
    area = np.concatenate([[0.1], 0.1 + np.cumsum(rate[1:]) / 50.0])
    upto = np.linspace(1, points, rows).astype(int)
    inner = Inner({"drop": rate[:-1] - rate[1:], "S": area[:-1]}, first=np.zeros(rows, int), last=upto)
    return area[upto], inner


@pytest.fixture(scope="module")
def data():
    parts = [curve(60, 50, 0.9), curve(35, 40, 0.3), curve(90, 30, 0.6)]
    S1 = np.concatenate([area for area, _ in parts])
    k = Inner.concat([inner for _, inner in parts])
    noise = np.random.default_rng(0).standard_normal(len(S1))
    return S1, k, LAW(S1=S1, k=k, **TRUTH) * np.exp(1e-3 * noise)


def test_the_law_knows_its_tables_and_its_sums_are_those_of_numpy(data):
    S1, k, _ = data
    assert LAW.variables == ("S1",)
    assert LAW.inner == {"k": ("drop", "S")}
    points = k.table.columns
    expected = []
    for s1, first, last in zip(S1, k.first, k.last, strict=True):
        drop, area = points["drop"][first:last], points["S"][first:last]
        gain = np.sum(drop * (1 - (1 + 3.0 * (s1 - area)) ** -0.6))
        expected.append(2.5 + 0.7 * s1**-0.5 - 2.0 * gain)
    np.testing.assert_allclose(LAW(S1=S1, k=k, **TRUTH), expected, rtol=1e-13)
    np.testing.assert_array_equal(LAW.bind(TRUTH)(S1=S1[7:9], k=k[7:9]), LAW(S1=S1, k=k, **TRUTH)[7:9])
    assert "once over the points of k" in LAW.explain()


def test_fit_and_fit_many_agree_and_recover_the_truth(data):
    S1, k, loss = data
    runs = iso.read({"S1": S1, "loss": loss}, S1="S1").with_inner(k=k)
    start = [TRUTH[name] * f for name, f in zip(LAW.parameters, (1.02, 0.9, 1.1, 0.8, 1.3, 0.9), strict=True)]
    fit = iso.fit(LAW, runs, starts=[start], objective="squared_log")
    assert fit.success
    for name in ("E", "A", "r"):
        assert abs(fit.params[name] - TRUTH[name]) < 5 * fit.stderr[name], name
    table = iso.fit_many(LAW, {"S1": S1, "k": k}, loss, starts=start, objective="squared_log")
    np.testing.assert_allclose(table.params[0], list(fit.params.values()), rtol=1e-6)
    # As a panel: the curves, each with its own rows of the one table.
    offsets = [0, 50, 90, 120]
    panel = iso.fit_many(LAW, {"S1": S1, "k": k}, loss, starts=start, offsets=offsets, objective="squared_log")
    alone = iso.fit_many(LAW, {"S1": S1[:50], "k": k[:50]}, loss[:50], starts=start, objective="squared_log")
    np.testing.assert_array_equal(panel.params[0], alone.params[0])
    assert panel.value[0] == alone.value[0]
    assert len(panel) == 3
    predicted = fit.predict(S1=S1[:5], k=k[:5])
    np.testing.assert_allclose(predicted, loss[:5], rtol=0.01)
    np.testing.assert_array_equal(fit.predict(runs)[:5], predicted)


def test_draws_files_and_selections_carry_the_tables(data, tmp_path):
    S1, k, loss = data
    runs = iso.read({"S1": S1, "loss": loss}, S1="S1").with_inner(k=k)
    start = [list(TRUTH.values())]
    fit = iso.fit(LAW, runs, starts=start, objective="squared_log")
    draws = fit.bootstrap(20, seed=1)
    assert np.isfinite(draws.params).all()
    np.testing.assert_array_equal(fit.bootstrap(20, seed=1, n_threads=1).params, draws.params)
    fit.save(tmp_path / "fit.json")
    again = iso.load(tmp_path / "fit.json")
    assert again.params == fit.params
    assert again.runs.inner_of("k") == k
    assert again.bootstrap(20, seed=1).params.tolist() == draws.params.tolist()
    assert pickle.loads(pickle.dumps(runs)).inner == runs.inner
    late = runs.where(S1 > 0.5)
    assert late.inner_of("k") == k[S1 > 0.5]
    assert iso.fit(LAW, late, starts=start, objective="squared_log").success


def test_a_table_may_be_part_of_the_law():
    # E(expit(a + b z)) over a standard normal z by quadrature, against a fine grid.
    x, w = np.polynomial.hermite_e.hermegauss(40)
    nodes = {"x": x, "w": w / w.sum()}
    law = iso.law("sum_over(t, t.w * expit(a + b * N * t.x))", tables={"t": nodes})
    z = np.linspace(-10, 10, 20001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    for N in (0.3, 1.0):
        expected = np.trapezoid(density / (1 + np.exp(-(0.4 + 0.8 * N * z))), z)
        assert law(N=N, a=0.4, b=0.8) == pytest.approx(expected, rel=1e-9)
    assert law.inner == {}
    again = pickle.loads(pickle.dumps(law))
    assert again.tables == law.tables
    assert again(N=1.0, a=0.4, b=0.8) == law(N=1.0, a=0.4, b=0.8)
    N = np.linspace(0.2, 3.0, 30)
    table = iso.fit_many(law, {"N": N}, law(N=N, a=0.4, b=0.8), starts=[0.2, 0.5], objective="squared")
    np.testing.assert_allclose(table.params[0], [0.4, 0.8], rtol=1e-7)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Table({}), "at least one column"),
        (lambda: Table({"x": [1.0, np.nan]}), "point 1"),
        (lambda: Table({"x": [1.0], "y": [1.0, 2.0]}), "one length"),
        (lambda: Table({"x": ["a"]}), "not an array of numbers"),
        (lambda: Table({"first": [1.0]}), "stands for an end"),
        (lambda: Inner({"x": [1.0]}, first=[0], last=[2]), "row 0 sums the points from 0 to 2"),
        (lambda: Inner({"x": [1.0]}, first=[1], last=[0]), "row 0"),
        (lambda: Inner({"x": [1.0]}, first=[0.5], last=[1]), "whole numbers"),
        (lambda: Inner({"x": [1.0]}, first=[0]), "offsets, or first and last"),
        (lambda: Inner({"x": [1.0]}, first=[0, 0], last=[1]), "one number for each row"),
        (lambda: Inner.concat([]), "cannot be joined"),
        (lambda: LAW(S1=[1.0], k=[1.0], **TRUTH), "an isoloss.inner.Inner, not list"),
        (
            lambda: iso.read({"S1": [1.0, 2.0], "loss": [1.0, 2.0]}, S1="S1").with_inner(k=_one()),
            "1 rows where there are 2",
        ),
        (lambda: iso.fit(LAW, {"S1": np.ones(9), "loss": np.ones(9)}), "sums over the inner table 'k'"),
    ],
)
def test_faults_of_tables_are_named(make, said):
    with pytest.raises(DataError, match="(?s)" + said):
        make()


def _one():
    return Inner({"drop": [1.0], "S": [0.0]}, offsets=[0, 1])


def test_faults_of_laws_are_named():
    with pytest.raises(LawError, match="no inner table k"):
        LAW(S1=[1.0], **TRUTH)
    with pytest.raises(LawError, match="no column 'S'"):
        LAW(S1=[1.0], k=Inner({"drop": [1.0]}, offsets=[0, 1]), **TRUTH)
    with pytest.raises(LawError, match="which the law does not sum over"):
        iso.law("E + A/N", tables={"t": {"x": [1.0]}})
    with pytest.raises(LawError, match="has no column 'y'"):
        iso.law("sum_over(t, t.y) * N", tables={"t": {"x": [1.0]}})
    with pytest.raises(LawError, match="stands inside sum_over"):
        iso.law("E + k.x / N")


@pytest.mark.parametrize("scale", [-1.0, 1.0])
def test_a_logarithm_of_a_sum_whose_terms_vanish_or_overflow(scale):
    # log sum w exp(u) with every u far below -745 or above 710, and its fit.
    law = iso.law("b + log(sum_over(k, k.w * exp(r * k.x * y)))", vars=["y"])
    rng = np.random.default_rng(3)
    x, w = rng.uniform(1.0, 2.0, 30), rng.uniform(0.5, 1.5, 30)
    first = rng.integers(0, 20, 25)
    last = first + rng.integers(1, 11, 25)
    k = Inner({"x": x, "w": w}, first=first, last=last)
    y = np.linspace(1000.0, 2000.0, 25)
    b, r = 0.7, 1.3 * scale
    found = law(y=y, k=k, b=b, r=r)
    expected = [b + logsumexp(r * x[i:j] * at, b=w[i:j]) for i, j, at in zip(first, last, y, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    fit = iso.fit(
        law, iso.read({"y": y, "loss": found}, y="y").with_inner(k=k), starts=[[0.0, 1.1 * scale]], objective="squared"
    )
    assert fit.success
    np.testing.assert_allclose([fit.params["b"], fit.params["r"]], [b, r], rtol=1e-9)
