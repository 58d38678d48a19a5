"""Wrong arguments and data that no other test meets: each is refused by its code, in words that name what is wrong."""

import gzip

import numpy as np
import pytest

import isoloss as iso
from isoloss import schedules
from isoloss.errors import IsolossError
from isoloss.hparams.plots import parallel_coordinates
from isoloss.laws.data_filtering import qqt_utility

N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 4), np.geomspace(2e9, 2e11, 4)))
LOSS = (1.7 + 400.0 / N**0.34 + 410.0 / D**0.28) * np.exp(0.01 * np.random.default_rng(0).standard_normal(16))
RUNS = iso.read({"N": N, "D": D, "loss": LOSS})
ONE = iso.read({"N": N, "D": D, "loss": LOSS, "x": N * 0 + 3.0}, x="x")
GRID = dict.fromkeys(("E", "A", "B", "alpha", "beta"), np.linspace(0.1, 1.0, 64))


@pytest.fixture(scope="module")
def fit():
    return iso.fit("chinchilla", RUNS, starts=4)


@pytest.fixture(scope="module")
def draws(fit):
    return fit.bootstrap(20, seed=0)


@pytest.fixture(scope="module")
def hp():
    return iso.fit_hparams(iso.read(iso.simulate.sweep(N=[1e8, 3e8], tokens_per_parameter=[20], seed=0)), draws=0)


# What is called on the module's own data, by what it is about: the call, the code and a piece of the message.
CALLS = {
    "a law that is a number": (lambda: iso.fit(3, RUNS), "option", "law=3"),
    "starts: none": (lambda: iso.fit("chinchilla", RUNS, starts=0), "option", "starts=0"),
    "starts: a sequence without a name": (
        lambda: iso.starts.Box(8, {"E": (1, 2)}, sequence="halto"),
        "option",
        "neither 'halton' nor 'sobol'",
    ),
    "starts: more points than a Sobol sequence has": (
        lambda: iso.fit("chinchilla", RUNS, starts=iso.starts.sobol(2**40, {"E": (1, 2)})),
        "option",
        "more than the",
    ),
    "starts: a grid of a billion": (
        lambda: iso.fit("chinchilla", RUNS, starts=GRID),
        "law-starts",
        "points; at most",
    ),
    "a law of too many epochs": (lambda: qqt_utility(101), "option", "epochs: 101"),
    "rungs of a column that reaches zero": (
        lambda: iso.Rollout(by="x").rungs(iso.read({"N": N, "D": D, "loss": LOSS, "x": np.arange(16.0)}, x="x")),
        "data-nonpositive",
        "column 'x', row 0",
    ),
    "one rung left out of one": (
        lambda: iso.Rollout(by="x", kind="leave-one-out").rungs(ONE),
        "data-too-few-rungs",
        "a single rung",
    ),
    "groups that the runs do not have": (lambda: RUNS.where(group="a"), "data-missing-role", "no groups"),
    "a column that is ragged": (
        lambda: iso.read({"N": [[1.0], [1.0, 2.0]], "D": [1.0, 2.0], "loss": [1.0, 2.0]}),
        "data-shape",
        "column 'N'",
    ),
    "an axis that is ragged": (lambda: iso.search("N", {"N": [[1.0], [1.0, 2.0]]}), "data-shape", "axis 'N' is not"),
    "an axis that is a table without columns": (lambda: iso.search("N", {"N": {}}), "data-empty", "axis 'N'"),
    "refinement along too many axes": (
        lambda: iso.search("*".join("abcdefgh"), {name: [1.0, 2.0] for name in "abcdefgh"}, refine=True),
        "option",
        "refine looks along at most",
    ),
    "a schedule of no value": (lambda: schedules.from_array([]), "data-shape", "one value for each step"),
    "a warm-up longer than the schedule": (lambda: schedules.from_array(np.ones(4), warmup=5), "option", "from 0 to 4"),
    "points of two lengths": (lambda: schedules.from_points([0, 1, 2], [1.0, 1.0]), "data-shape", "each logged step"),
    "points with a hole": (lambda: schedules.from_points([0, 1], [1.0, np.nan]), "data-nonfinite", "lr, row 1"),
    "points at infinity": (lambda: schedules.from_points([0, np.inf], [1.0, 1.0]), "data-shape", "whole numbers"),
    "parallel coordinates of nothing finite": (
        lambda: parallel_coordinates({"lr": np.array([np.nan]), "loss": np.array([1.0])}),
        "data-nonfinite",
        "finite values",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_refused(name):
    call, code, words = CALLS[name]
    with pytest.raises(IsolossError) as caught:
        call()
    assert caught.value.code == code
    assert words in str(caught.value)


# The same for what needs a fit, its draws, or a law of hyper-parameters.
METHODS = {
    "a parameter that draws do not have": (lambda fit, draws, hp: draws["alhpa"], "option", "no parameter 'alhpa'"),
    "a parameter that a posterior does not have": (
        lambda fit, draws, hp: iso.fit("chinchilla", RUNS, objective="squared_log").posterior(100)["x"],
        "option",
        "no parameter 'x'",
    ),
    "an interval that a study does not have": (
        lambda fit, draws, hp: fit.coverage(2, draws=39)["x"],
        "option",
        "no interval 'x'",
    ),
    "resampling by a column of one value": (
        lambda fit, draws, hp: iso.fit("chinchilla", ONE).bootstrap(9, by="x"),
        "data-too-few-points",
        "at least two groups",
    ),
    "residuals where there are none": (
        lambda fit, draws, hp: iso.fit(
            "chinchilla", iso.read({"N": N[:5], "D": D[::3][:5], "loss": LOSS[:5]})
        ).bootstrap(9, method="residual"),
        "data-too-few-points",
        "leave no residual",
    ),
    "the noise of a run from jackknifed fits": (
        lambda fit, draws, hp: fit.bootstrap(method="jackknife").predict(N=1e9, D=1e10, kind="new-run"),
        "option",
        "leave blocks out",
    ),
    "another objective of hyper-parameters": (
        lambda fit, draws, hp: iso.fit_hparams(hp.sweep.runs, objective=iso.Huber(space="log")),
        "option",
        "space='raw'",
    ),
    "cells left out by what is no column": (lambda fit, draws, hp: hp.holdout("cel"), "option", "by='cel'"),
    "cells left out of a recipe that is none": (
        lambda fit, draws, hp: hp.holdout(recipe="jont"),
        "option",
        "recipe='jont'",
    ),
    "all cells left out": (
        lambda fit, draws, hp: iso.fit_hparams(
            iso.read(iso.simulate.sweep(N=[1e8], tokens_per_parameter=[10, 40], seed=0)), draws=0
        ).holdout("largest N"),
        "hparams-too-few-runs",
        "nothing is left",
    ),
    "many sizes where one is asked": (
        lambda fit, draws, hp: hp.critical_batch(N=[1e8, 1e9], D=1e10),
        "option",
        "N is an array",
    ),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_refused(name, fit, draws, hp):
    call, code, words = METHODS[name]
    with pytest.raises(IsolossError) as caught:
        call(fit, draws, hp)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_a_compressed_file_under_another_name_is_told(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_bytes(gzip.compress(b"N,D,loss\n1e9,2e10,3\n"))
    with pytest.raises(IsolossError, match=r"name it \.csv\.gz"):
        iso.read(path)
