"""Parameters that the runs leave open are named, and only those.

Which they are follows from the law by hand: with one D, B / D**beta is a constant beside E; with one N, so is
A / N**alpha; and two constants in one sum are never told apart.
"""

import json

import numpy as np
import pytest

import isoloss as iso
from isoloss.engine.basins import Basins

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1500.0, "beta": 0.36}
N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e9, 1e12, 6)))
ONE = np.full(36, 2e10)


def runs(N, D):
    loss = iso.laws.get("chinchilla").bind(TRUTH)(N=N, D=D)
    return {"N": N, "D": D, "loss": loss * np.exp(0.01 * np.random.default_rng(0).standard_normal(len(N)))}


def open_parameters(fit):
    told = [dict(notice.details) for notice in fit.warnings if notice.code == "not-identified"]
    # Each direction is one of the census too, and its parameters are those that are named.
    for details in told:
        directions = details.pop("directions")
        assert list(fit.basins.level) == directions
        assert set().union(*directions) == set(details["parameters"])
    assert told or fit.basins.level == ()
    return told


@pytest.mark.parametrize("objective", ["huber_log", "squared_log", "absolute_raw"])
@pytest.mark.parametrize(
    ("table", "names", "constant"),
    [(runs(N, ONE), ["E", "B", "beta"], ["D"]), (runs(ONE, D), ["E", "A", "alpha"], ["N"])],
    ids=["one D", "one N"],
)
def test_a_setting_that_never_varies_leaves_its_term_open(table, names, constant, objective):
    fit = iso.fit("chinchilla", table, objective=objective)
    assert open_parameters(fit) == [{"parameters": names, "constant": constant}]
    assert f"{constant[0]} is the same in every run" in " ".join(fit.summary().split())


def test_two_constants_in_one_sum_are_open():
    fit = iso.fit("E + F + A / N**alpha", runs(N, D), objective="squared_log")
    assert open_parameters(fit) == [{"parameters": ["E", "F"], "constant": []}]


@pytest.mark.parametrize("options", [{}, {"tie": {"beta": "alpha"}}, {"bounds": {"alpha": (0, 0.2)}}], ids=str)
def test_parameters_that_are_only_correlated_are_not(options):
    assert open_parameters(iso.fit("chinchilla", runs(N, D), **options)) == []


def test_fixing_the_open_term_settles_it():
    fit = iso.fit("chinchilla", runs(N, ONE), fix={"B": 1500.0, "beta": 0.36})
    assert open_parameters(fit) == []


def test_all_runs_count_where_a_glance_at_every_second_does_not_suffice():
    sizes = np.geomspace(1e7, 1e10, 4000)
    tokens = np.where(np.arange(4000) % 2 == 0, 2e10, np.geomspace(1e9, 1e12, 4000))
    assert open_parameters(iso.fit("chinchilla", runs(sizes, tokens))) == []
    assert open_parameters(iso.fit("chinchilla", runs(sizes, np.full(4000, 2e10)))) != []


# The census says what kind of optimum it is -------------------------------------------------------------------------


def test_the_census_tells_a_level_stretch_and_its_direction():
    # A (N / N0)^-alpha: what A gains, N0^alpha loses.
    law = iso.law("E + A * (N / N0)**-alpha", vars=["N"], positive=["A", "N0", "E"])
    loss = 1.7 + 400.0 * N**-0.34
    fit = iso.fit(law, {"N": N, "loss": loss}, objective="squared_log")
    (direction,) = fit.basins.level
    assert direction["N0"] == 1.0
    assert direction["A"] == pytest.approx(-fit.params["alpha"], rel=1e-6)
    assert set(direction) == {"A", "N0"}
    moved = dict(fit.params)
    moved["N0"] *= np.exp(0.5)
    moved["A"] *= np.exp(0.5 * direction["A"])
    np.testing.assert_allclose(law.bind(moved)(N=N), fit.predict(N=N), rtol=1e-12)
    low, high = fit.basins.ranges["N0"]
    assert high > 2.0 * low
    assert "alpha" not in fit.basins.ranges
    assert "which is no point but level along N0 +1.00, A -0.34" in str(fit.basins)
    text = " ".join(fit.summary().split())
    assert "no point but level along N0 +1.00" in text
    assert "starts at the best ended at A" in text
    assert Basins.from_dict(json.loads(json.dumps(fit.basins.to_dict()))) == fit.basins


def test_two_directions_each_with_a_parameter_of_its_own():
    fit = iso.fit("chinchilla", runs(ONE, D), objective="squared_log")
    first, second = fit.basins.level
    for direction in (first, second):
        assert max(abs(x) for x in direction.values()) == 1.0
        step = {k: v * np.exp(1e-6 * direction.get(k, 0.0)) for k, v in fit.params.items()}
        change = fit.law.bind(step)(N=ONE, D=D) / fit.predict(N=ONE, D=D) - 1.0
        assert np.abs(change).max() < 1e-11
    assert set(first) - set(second)
    assert set(second) - set(first)


def test_equal_optima_apart_are_told_although_each_is_a_point():
    # The two terms may change places.
    x = np.linspace(0.0, 4.0, 40)
    loss = 1.0 + np.exp(-0.5 * x) + np.exp(-3.0 * x) + 0.001 * np.random.default_rng(0).standard_normal(40)
    law = iso.law("E + exp(-p*x) + exp(-q*x)", vars=["x"], positive=["E", "p", "q"])
    fit = iso.fit(law, {"x": x, "loss": loss}, objective="squared_raw")
    assert fit.basins.level == ()
    assert set(fit.basins.ranges) == {"p", "q"}
    assert fit.basins.ranges["p"] == pytest.approx(
        (min(fit.params["p"], fit.params["q"]), max(fit.params["p"], fit.params["q"])), rel=1e-4
    )
    assert "but there at different parameters (p " in str(fit.basins)
    (notice,) = [n for n in fit.warnings if n.code == "rival-optimum"]
    assert notice.details["gap"] == 0.0


def test_an_optimum_that_is_a_point_is_not_called_level():
    fit = iso.fit("chinchilla", runs(N, D))
    assert fit.basins.level == ()
    assert fit.basins.ranges == {}
    assert "level" not in str(fit.basins)
