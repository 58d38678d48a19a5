"""Notices and refusals that no other test meets: each has its code, and is absent where its reason is."""

import sys

import numpy as np
import pytest

import isoloss as iso
from isoloss.engine import autodelta
from isoloss.errors import DataError, MissingExtraError


def codes(made):
    return {notice.code for notice in made.warnings}


@pytest.fixture(scope="module")
def runs():
    return iso.read(iso.simulate.sweep(settings=1, noise=0.002, seed=0))


def test_a_law_that_sums_over_a_table_asks_for_it(runs):
    law = iso.law("E + A / N**a * sum_over(k, k.weight)", positive=["E", "A"])
    with pytest.raises(DataError, match=r"runs\.with_inner\(k=") as caught:
        iso.fit(law, runs)
    assert caught.value.code == "data-inner"
    assert caught.value.details["table"] == "k"


def test_an_extra_that_is_absent_is_named(runs, monkeypatch):
    fit = iso.fit("chinchilla", runs, starts=2)
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"isoloss\[plot\]") as caught:
        iso.plot.residuals(fit)
    assert caught.value.code == "missing-extra"


def test_repeated_settings_and_small_cells_are_told():
    table = iso.simulate.sweep(settings=9, noise=0.002, seed=0)
    whole = iso.read(table).check()
    assert not {"settings-repeated", "cells-small"} & {notice.code for notice in whole.warnings}
    names = list(table)
    first = np.flatnonzero((table["N"] == table["N"][0]) & (table["D"] == table["D"][0]))
    kept = np.setdiff1d(np.arange(len(table["N"])), first[5:])
    small = iso.read({name: np.concatenate([table[name][kept], table[name][kept[:3]]]) for name in names}).check()
    found = {notice.code: notice for notice in small.warnings}
    assert small.repeated == 6
    assert "6 runs share all their settings" in found["settings-repeated"].message
    assert "cells-small" not in found  # the repeated rows fill the cell again
    cut = {notice.code: notice for notice in iso.read({name: table[name][kept] for name in names}).check().warnings}
    assert "the least 5" in cut["cells-small"].message


def test_a_delta_that_is_not_settled_is_told(runs, monkeypatch):
    objective = iso.Huber("auto", space="log")
    assert "delta-not-settled" not in codes(iso.fit("chinchilla", runs, objective=objective, starts=4))
    monkeypatch.setattr(autodelta, "_ROUNDS", 1)
    monkeypatch.setattr(autodelta, "_PASSES", 1)
    assert "delta-not-settled" in codes(iso.fit("chinchilla", runs, objective=objective, starts=4))


def test_collinear_parameters_are_named():
    N = np.geomspace(1e8, 1.2e8, 12)  # too narrow to tell A from alpha
    loss = 1.7 + 400.0 / N**0.34 * np.exp(1e-3 * np.sin(7.0 * np.arange(12)))
    fit = iso.fit("power_law_N", iso.read({"N": N, "D": 20 * N[::-1], "loss": loss}))
    (notice,) = (notice for notice in fit.warnings if notice.code == "correlated-parameters")
    assert "A and alpha" in notice.message


def test_a_posterior_of_few_draws_says_so(runs):
    fit = iso.fit("chinchilla", runs, objective="squared_log")
    assert "posterior-few-draws" in codes(fit.posterior(100, seed=0))
    assert "posterior-few-draws" not in codes(fit.posterior(4000, seed=0))


def test_laws_that_miss_the_runs_are_told_by_comparison_and_ensemble(runs):
    sizes = np.unique(runs["N"])
    broken = {name: runs[name] for name in ("N", "D", "loss")}
    broken["loss"] = np.where(runs["N"] == sizes[-1], 1.1, 1.0) * runs["loss"]  # the largest size departs from the law
    rollout = iso.Rollout(by="N", min_groups=len(sizes) - 1)
    wrong = iso.compare(iso.read(broken), ["chinchilla"], split=rollout, draws=60, seed=1)
    assert "undercoverage" in codes(wrong)
    assert codes(wrong.ensemble()) == {"laws-misfit", "few-splits"}
    right = iso.compare(runs, ["power_law_N"], split=iso.Rollout(by="N", min_groups=3), draws=60, seed=1)
    assert "undercoverage" not in codes(right)
    assert codes(right.ensemble()) == {"misfit"}  # of the fit in it: N alone is not what these runs depend on
