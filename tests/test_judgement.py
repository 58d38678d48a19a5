"""Parameters that the runs leave open are named, and only those.

Which they are follows from the law by hand: with one D, B / D**beta is a constant beside E; with one N, so is
A / N**alpha; and two constants in one sum are never told apart.
"""

import numpy as np
import pytest

import isoloss as iso

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1500.0, "beta": 0.36}
N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e9, 1e12, 6)))
ONE = np.full(36, 2e10)


def runs(N, D):
    loss = iso.laws.get("chinchilla").bind(TRUTH)(N=N, D=D)
    return {"N": N, "D": D, "loss": loss * np.exp(0.01 * np.random.default_rng(0).standard_normal(len(N)))}


def open_parameters(fit):
    return [notice.details for notice in fit.warnings if notice.code == "not-identified"]


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
