"""Intervals of hyper-parameters: whether they hold what they are for, and how cells scatter around the power laws."""

import numpy as np
import pytest

import isoloss as iso
from isoloss.hparams.between import Between, between_of

SCATTER = (0.12, 0.10)
"""Standard deviations of ln lr and ln batch between cells, about those of the released sweep."""

TARGETS = {"among the cells": (3e8, 2e10), "a decade beyond": (1e10, 1e12)}


def truth(N, D):
    n, d = np.log(N / 3e8), np.log(D / 2e10)
    return np.array([np.log(0.002) - 0.6 * n + 0.2 * d, np.log(3e5) - 0.1 * n + 0.5 * d])


def share_held(exact, studies, between):
    """(target, 3, 2) share of the studies whose intervals hold a new cell, by both kinds, and the mean."""
    rng = np.random.default_rng(7)
    held = np.zeros((studies, len(TARGETS), 3, 2), dtype=bool)
    for i in range(studies):
        hp = iso.fit_hparams(exact(noise=1e-3, seed=100 + i, between=between), draws=200, threshold=0.01, seed=i)
        for t, (N, D) in enumerate(TARGETS.values()):
            mean = truth(N, D)
            new = mean + np.array(between) * rng.standard_normal(2)
            for k, (kind, wanted) in enumerate((("new-cell", new), ("mean", new), ("mean", mean))):
                said = hp.predict(N=N, D=D, kind=kind)
                ends = np.log([said.lr_interval, said.batch_interval])
                held[i, t, k] = (ends[:, 0] <= wanted) & (wanted <= ends[:, 1])
    return held.mean(axis=0)


@pytest.mark.slow
def test_intervals_hold_the_optimum_of_a_new_cell_and_the_mean_in_95_of_100(exact):
    """120 studies, a standard error of 2 %: within three of them of 95 %. Refits alone miss most new cells."""
    held = share_held(exact, 120, SCATTER)
    new, alone, mean = held[:, 0], held[:, 1], held[:, 2]
    assert np.all(np.abs(new - 0.95) <= 0.06), new
    assert np.all(np.abs(mean - 0.95) <= 0.06), mean
    assert np.all(alone[0] < 0.65), alone


def test_without_scatter_none_is_found(exact):
    hp = iso.fit_hparams(exact(noise=1e-3), draws=200, threshold=0.01)
    assert hp.between.known
    assert max(hp.between.octaves) < 0.04
    own, mean = (hp.predict(N=3e8, D=2e10, kind=kind).lr_interval for kind in ("new-cell", "mean"))
    assert np.log(own[1] / own[0]) < 1.6 * np.log(mean[1] / mean[0])


@pytest.mark.parametrize("scatter", [(0.0, 0.0), SCATTER, (0.4, 0.4)])
def test_own_optima_are_where_the_cells_were_put(exact, scatter):
    """Without scatter the errors are of the size that their covariances say; with it they stay far below it."""
    scores, errors = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        hp = iso.fit_hparams(exact(noise=1e-3, seed=seed, between=scatter), draws=0, threshold=0.01)
        away = np.zeros((hp.sweep.cells, 2))
        for c in range(hp.sweep.cells if any(scatter) else 0):
            away[c] = np.array(scatter) * rng.standard_normal(2)
            rng.standard_normal(49)  # the noise of the runs, which the maker draws after the cell's place
        # Cells are made by N and then by D, which is their order here too.
        placed = np.array([truth(N, D) for N, D in zip(hp.sweep.N, hp.sweep.D, strict=True)]) + away
        error = hp.between.optimum - placed
        errors.append(error)
        scores.append(np.einsum("ci,cij,cj->c", error, np.linalg.inv(hp.between.error), error))
    if any(scatter):
        assert np.all(np.sqrt(np.mean(np.square(errors), axis=(0, 1))) < 0.35 * np.array(scatter))
    else:
        assert np.mean(scores) == pytest.approx(2.0, abs=0.6)  # chi-squared of two degrees of freedom, 72 of them


def test_scatter_is_estimated_free_of_noise_and_of_what_the_laws_took_up(exact):
    """Over many sweeps the mean square of the estimate is the scatter that was put in."""
    found = []
    for seed in range(12):
        hp = iso.fit_hparams(exact(noise=1e-3, seed=seed, between=(0.15, 0.10)), draws=0, threshold=0.02)
        found.append(np.diag(hp.between.covariance))
    np.testing.assert_allclose(np.sqrt(np.mean(found, axis=0)), (0.15, 0.10), rtol=0.2)


def test_draws_of_new_cells_have_the_covariance_and_a_seed_of_their_own():
    T = np.array([[0.04, 0.015], [0.015, 0.01]])
    made = Between(optimum=np.zeros((5, 2)), error=np.zeros((5, 2, 2)), deviation=np.zeros((5, 2)), covariance=T, df=2)
    draws = made.draws(200_000, seed=3)
    np.testing.assert_allclose(np.cov(draws.T), T, rtol=0.02)
    np.testing.assert_array_equal(draws[:10], made.draws(10, seed=3))
    assert not np.array_equal(made.draws(10, seed=4), draws[:10])
    assert made.octaves == pytest.approx((0.2 / np.log(2), 0.1 / np.log(2)))


def test_too_few_cells_to_tell_the_scatter_is_said(exact):
    runs = exact(noise=5e-4)
    # Three cells, as many as the exponents need.
    mask = (np.isclose(runs["N"], 1e8) & (runs["D"] < 1e10)) | (np.isclose(runs["N"], 1e9) & (runs["D"] < 3e10))
    hp = iso.fit_hparams(runs.where(mask), draws=50, threshold=0.02)
    assert hp.sweep.cells == 3
    (notice,) = [w for w in hp.warnings if w.code == "scatter-unknown"]
    assert notice.severity == "serious"
    assert not hp.between.known
    assert np.all(hp.between.draws(5, 0) == 0.0)


def test_cells_that_cannot_tell_their_own_optimum_are_left_out(exact):
    hp = iso.fit_hparams(exact(noise=1e-3, between=SCATTER), draws=0, threshold=0.02)
    optimum, error = hp.between.optimum.copy(), hp.between.error.copy()
    optimum[3], error[5] = np.nan, 1e6 * np.eye(2)  # no answer, and one that says nothing
    again = between_of(optimum, error, hp.powers, hp.sweep, hp.joint.fixed)
    assert again.df == hp.between.df - 1
    np.testing.assert_allclose(np.sqrt(np.diag(again.covariance)), SCATTER, rtol=0.6)


def test_plateau_and_regret_know_that_the_optimum_of_a_cell_scatters(exact):
    near, far = (
        iso.fit_hparams(exact(noise=1e-3, between=spread), draws=300, threshold=0.01) for spread in ((0, 0), (0.4, 0.4))
    )
    flat = [hp.plateau(N=3e8, D=2e10, within=0.001) for hp in (near, far)]
    assert flat[0].probability_of_best > 0.99
    assert flat[1].probability_of_best < 0.75
    costs = [hp.regret(p.lr, p.batch, 3e8, 2e10) for hp, p in zip((near, far), flat, strict=True)]
    assert costs[0].high < 2e-4 < costs[1].high
    assert costs[0].estimate == pytest.approx(0.0, abs=1e-12)


def test_the_kind_of_interval_is_named_and_known(fitted):
    assert fitted.predict(N=1e9, D=2e10).kind == "new-cell"
    assert fitted.predict(N=1e9, D=2e10, kind="mean").to_dict()["kind"] == "mean"
    with pytest.raises(iso.IsolossError, match="neither 'new-cell' nor 'mean'"):
        fitted.predict(N=1e9, D=2e10, kind="new-run")


# --- what the cells cannot tell ---------------------------------------------------------------------


def only(runs, keep):
    ratio = runs["D"] / runs["N"]
    if keep == "one D":
        table = {name: np.asarray(runs[name]).copy() for name in ("N", "D", "lr", "batch", "loss")}
        chosen = {name: column[np.isclose(ratio, 60)] for name, column in table.items()}
        chosen["D"] = np.full_like(chosen["D"], 2e10)
        return iso.read(chosen)
    return runs.where({"one N": runs["N"] == 2e8, "one ratio": np.isclose(ratio, 60)}[keep])


@pytest.mark.parametrize(
    ("keep", "known", "refused", "words"),
    [
        ("one N", {"N": 2.05e8, "D": 1e11}, {"N": 7e9, "D": 1e11}, r"all cells have N 200M, so lr_N and batch_N"),
        ("one D", {"N": 7e9, "D": 2e10}, {"N": 7e9, "D": 1e12}, r"all cells have D 20\.0B, so lr_D and batch_D"),
        ("one ratio", {"N": 7e9, "D": 4.2e11}, {"N": 7e9, "D": 1.4e12}, r"D / N about 60"),
    ],
)
def test_what_the_cells_cannot_tell_is_refused_with_a_code(exact, keep, known, refused, words):
    hp = iso.fit_hparams(only(exact(noise=5e-4), keep), draws=50, threshold=0.02)
    assert np.isfinite(hp.predict(**known).lr)
    assert hp.plateau(**known).area > 0
    for ask in (hp.predict, hp.plateau, hp.critical_batch, hp.sensitivity, hp.alternatives):
        arguments = {"choice": "asymmetry", **refused} if ask == hp.sensitivity else refused
        with pytest.raises(iso.DataError, match=words) as caught:
            ask(**arguments)
        assert caught.value.code == "not-identified"
    with pytest.raises(iso.DataError) as caught:
        hp.regret(1e-3, 1e6, **refused)
    assert caught.value.code == "not-identified"
    with pytest.raises(iso.DataError, match="cannot be predicted"):
        hp.predict(N=np.array([known["N"], refused["N"]]), D=np.array([known["D"], refused["D"]]))
