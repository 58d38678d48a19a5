"""The best optimum stands against further points before it is called the fit."""

import numpy as np
import pytest

import isoloss as iso
from isoloss.engine.challenge import challenge
from isoloss.engine.problem import Problem
from isoloss.engine.watch import Watch

TEXT = "E + A0 / x**r0 + A1 / (y**r1 * z**q1) + A2 / z**r2"
TRUTH = {"E": 1.0, "A0": 7.0, "r0": 0.16, "A1": 1.1, "r1": 1.0, "q1": 0.25, "A2": 0.5, "r2": 1.0}


def trap(n, seed):
    """Runs of a law in which two terms of z take each other's place, and starts that all end in the worse valley."""
    rng = np.random.default_rng(seed)
    law = iso.law(TEXT, vars=["x", "y", "z"], positive=["E", "A0", "A1", "A2"])
    columns = {name: np.exp(rng.uniform(0.0, np.log(200.0), n)) for name in "xyz"}
    loss = law(**columns, **TRUTH) * np.exp(0.05 * rng.standard_normal(n))
    runs = iso.read({**columns, "loss": loss}, x="x", y="y", z="z")
    many = iso.fit(law, runs, objective="squared_raw", starts=256)
    worse = [optimum for optimum in many.basins.optima if optimum.value > many.value * 1.001]
    return law, runs, many, worse


@pytest.fixture(scope="module")
def trapped():
    for seed in range(50):
        law, runs, many, worse = trap(60, seed)
        if worse:
            return law, runs, many, np.array([[worse[0].params[name] for name in law.parameters]])
    return pytest.fail("none of 50 data sets has two valleys")


def test_a_start_in_the_worse_valley_does_not_decide(trapped):
    law, runs, many, start = trapped
    alone = iso.fit_many(law, {name: runs[name] for name in "xyz"}, runs["loss"], starts=start, objective="squared_raw")
    assert alone.value[0] > many.value * 1.001
    fit = iso.fit(law, runs, objective="squared_raw", starts=start)
    assert fit.value <= many.value * (1.0 + 1e-8)
    assert fit.basins.starts == 1
    assert fit.basins.share == 0.0
    assert fit.basins.optima[0].count == 0
    assert fit.basins.distinct == 2
    assert fit.basins.challengers > 50
    assert "few-starts-at-best" in [notice.code for notice in fit.warnings]
    assert "one of which found the best optimum" in str(fit.summary())
    assert dict(fit.basins.optima[0].params) == fit.params


def test_a_saved_fit_keeps_its_challenge(trapped, tmp_path):
    law, runs, _, start = trapped
    fit = iso.fit(law, runs, objective="squared_raw", starts=start)
    fit.save(tmp_path / "fit.json")
    assert iso.load(tmp_path / "fit.json").basins == fit.basins


def test_the_same_bits_on_one_and_two_threads(trapped):
    law, runs, _, start = trapped
    one, two = (iso.fit(law, runs, objective="squared_raw", starts=start, n_threads=k) for k in (1, 2))
    assert one.params == two.params
    assert one.basins == two.basins


def test_an_optimum_nobody_beats_stays():
    runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
    fit = iso.fit("chinchilla", runs)
    assert fit.basins.challengers > 0
    assert fit.basins.share == 1.0
    assert "none better" in str(fit.summary())


def test_a_linear_law_is_not_challenged():
    x = np.linspace(1.0, 9.0, 20)
    fit = iso.fit(iso.law("a + b * x", vars=["x"]), {"x": x, "loss": 1.0 + x}, objective="squared_raw")
    assert fit.basins.challengers == 0
    assert "challenged" not in str(fit.summary())


def test_many_rows_are_challenged_on_a_part_and_decided_on_all(trapped, monkeypatch):
    law, _, _, _ = trapped
    _, runs, many, worse = next(made for made in (trap(12_000, seed) for seed in range(20)) if made[3])
    rows = []
    solve = Problem.solve
    monkeypatch.setattr(Problem, "solve", lambda self, *a, **k: rows.append(self.target.size) or solve(self, *a, **k))
    start = np.array([[worse[0].params[name] for name in law.parameters]])
    fit = iso.fit(law, runs, objective="squared_raw", starts=start)
    assert fit.value <= many.value * (1.0 + 1e-8)
    assert min(rows) < runs.n
    assert rows.count(runs.n) <= 3  # the start, and a finalist in each of two rounds


def test_an_interrupt_during_the_challenge_leaves_the_best_start(trapped, monkeypatch):
    law, runs, _, start = trapped
    fit = iso.fit(law, runs, objective="squared_raw", starts=start)
    best = fit.problem.solve(start)
    watch = Watch(None, "partial")
    solve = Problem.solve

    def stopped(self, *args, watch=None, **options):
        if watch is not None:
            watch.stopped = True
        return solve(self, *args, **options)

    monkeypatch.setattr(Problem, "solve", stopped)
    trial = challenge(fit.problem, best, given=True, seed=0, watch=watch)
    assert trial.better is None
    assert watch.stopped


def test_parameters_cut_off_at_the_range_of_numbers_are_no_optimum():
    # Some starts drive B beyond the largest number and beta after it: what they return is not what they evaluated.
    N = [5.011872336e9, 1.584893192e7, 1e9, 2.511886432e8, 1e9, 1.258925412e7, 1.584893192e7, 3.16227766e7]
    D = [
        7.943282347e11,
        7.943282347e9,
        6.309573445e10,
        1e12,
        1.258925412e11,
        3.981071706e9,
        1.995262315e10,
        1.995262315e9,
    ]
    loss = [2.217, 3.022, 2.281, 2.17, 2.189, 3.415, 3.105, 2.838]
    law = iso.law("E + A / N**a + B / D**b", positive=["E", "A", "B"])
    fit = iso.fit(law, {"N": N, "D": D, "loss": loss}, objective=iso.SquaredError("log"))
    again = np.sum(np.log(fit.predict(N=N, D=D) / np.array(loss)) ** 2)
    assert fit.value == pytest.approx(again, rel=1e-6)
    starts = np.array([[2.2, 1e10, 1.5, 1e300, 33.0], [2.2, 1e10, 1.5, 1e305, 38.0]])
    solved = fit.problem.solve(starts)
    for params, value in zip(solved.params, solved.value, strict=True):
        prediction = fit.problem.predict(params)[0]
        assert value == pytest.approx(np.sum(np.log(prediction / np.array(loss)) ** 2), rel=1e-6)


def test_challengers_around_an_optimum_at_the_end_of_the_numbers_stay_within_them():
    """Losses without a slope send C1 ** alpha to a constant: alpha to zero, and C1 as far as numbers go."""
    law = iso.law("E + (C1/C)**alpha", positive=["E", "C1", "alpha"], bounds={"alpha": (0, 2)})
    rng = np.random.default_rng(3)
    C = np.exp(rng.uniform(np.log(1e18), np.log(1e22), 12))
    loss = 3 + rng.standard_normal(12) * 0.03
    fit = iso.fit(law, {"C": C, "loss": loss}, objective="squared_log")
    assert np.isfinite(list(fit.params.values())).all()
    assert fit.basins.challengers > 0


def test_points_beyond_the_range_of_numbers_are_settled_within_it():
    own = iso.fit("chinchilla", iso.simulate.sweep(settings=1, seed=0)).problem.parameters
    points = np.array([[np.inf, 0.0, np.nan, -np.inf, 0.3]])
    settled = own.settle(points)
    assert own.names == ("E", "A", "alpha", "B", "beta")
    assert 0.0 < settled[0, 1] < 1e-300
    assert 1e300 < settled[0, 0] < np.inf
    assert 0.0 < settled[0, 3] < 1e-300
    assert np.isnan(settled[0, 2])
    assert settled[0, 4] == 0.3


def test_a_fit_none_of_whose_starts_converged_prints():
    law = iso.law("E + A / N**alpha + B / D**beta", positive=["E", "A", "B"], bounds={"alpha": (0, 2), "beta": (0, 2)})
    rng = np.random.default_rng(5)
    table = {"N": 10 ** rng.uniform(7, 10, 10), "D": 10 ** rng.uniform(9, 12, 10)}
    fit = iso.fit(law, {**table, "loss": 3 + rng.standard_normal(10) * 0.03}, objective="cauchy_log")
    assert not fit.success
    assert fit.basins.optima == ()
    assert "none of which converged" in fit.summary()
