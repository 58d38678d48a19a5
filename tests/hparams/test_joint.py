"""The surface that all cells share, and what it says about runs that cannot tell it."""

import math

import numpy as np
import pytest

import isoloss as iso
from isoloss import simulate
from isoloss.hparams.shape import SHARED, nearness
from isoloss.hparams.sweep import clusters, levels, sweep_of

# --- the joint surface ----------------------------------------------------------------------------


def test_the_surface_is_recovered_from_exact_runs(exact):
    hp = iso.fit_hparams(exact(), draws=0, threshold=0.02)
    found = dict(zip(SHARED, hp.joint.shape.values, strict=True))
    for name, truth in {
        "a": 0.01,
        "k": 0.8,
        "b": 0.004,
        "ridge": 0.4,
        "lr_N": -0.6,
        "lr_D": 0.2,
        "batch_N": -0.1,
    }.items():
        assert found[name] == pytest.approx(truth, abs=2e-4), name
    best = hp.predict(N=3e8, D=2e10)
    assert best.lr == pytest.approx(0.002, rel=1e-3)
    assert best.batch == pytest.approx(3e5, rel=1e-3)
    assert math.isnan(best.lr_interval[0])
    assert hp.luck < 2e-3


def test_exponents_of_a_noisy_sweep_lie_in_their_intervals(exact):
    hp = iso.fit_hparams(exact(noise=1e-3), draws=300, threshold=0.01)
    low, high = np.quantile(hp.powers.draws, [0.005, 0.995], axis=0)
    for j, truth in ((1, -0.6), (2, 0.2), (4, -0.1), (5, 0.5)):
        assert low[j] < truth < high[j]
        assert high[j] - low[j] < 0.15
    best = hp.predict(N="300M", D="20B", level=0.99)
    assert best.lr_interval[0] < 0.002 < best.lr_interval[1]
    assert best.batch_interval[0] < 3e5 < best.batch_interval[1]


def test_the_law_of_the_simulated_sweep_comes_back(fitted):
    assert fitted.powers.exponents["lr_N"] == pytest.approx(-0.713, abs=0.05)
    assert fitted.powers.exponents["lr_D"] == pytest.approx(0.307, abs=0.05)
    assert fitted.powers.exponents["batch_D"] == pytest.approx(0.571, abs=0.06)
    best = fitted.predict(N=1e9, D=2e10)
    # The simulated surface has a kink at its best learning rate: the smooth one errs towards the gentle side.
    assert best.lr == pytest.approx(float(simulate.best_lr(1e9, 2e10)), rel=0.2)
    assert best.batch == pytest.approx(float(simulate.best_batch(2e10)), rel=0.1)


def test_too_high_a_learning_rate_costs_more(fitted, step):
    for hp in (fitted, step):
        N, D = float(hp.sweep.N[-1]), float(hp.sweep.D[-1])
        best = hp.plateau(N=N, D=D)
        assert float(hp.regret(2 * best.lr, best.batch, N, D)) > float(hp.regret(best.lr / 2, best.batch, N, D)) > 0


def test_runs_are_chosen_by_the_surface_and_not_by_their_luck(dense):
    """Selecting runs by their own excess keeps the lucky ones at the rim, and their residuals trend with the excess."""
    hp = iso.fit_hparams(dense, draws=0, threshold=0.01)
    sweep, joint = hp.sweep, hp.joint
    near = nearness(sweep, joint.shape, 0.01)
    np.testing.assert_allclose(joint.kept_weights, near[joint.kept], atol=0.02)
    x, y = joint.shape.optimum(sweep.N, sweep.D)
    excess = joint.shape.excess(sweep.ln_lr - x[sweep.cell], sweep.ln_batch - y[sweep.cell])
    seen = np.log(sweep.loss / joint.floor[sweep.cell])
    for low, high in ((0.0, 0.002), (0.002, 0.005), (0.005, 0.01)):
        among = ~sweep.diverged & (excess >= low) & (excess < high)
        assert np.median(seen[among]) == pytest.approx(np.median(excess[among]), abs=6e-4)


@pytest.mark.parametrize("keep", ["one N", "one D", "one ratio", "one cell"])
def test_what_the_cells_cannot_tell_is_held_and_said(keep, exact):
    runs = exact(noise=5e-4)
    ratio = runs["D"] / runs["N"]
    mask = {
        "one N": runs["N"] == 2e8,
        "one D": np.isin(runs["D"], [4e9]),
        "one ratio": np.isclose(ratio, 60),
        "one cell": (runs["N"] == 2e8) & np.isclose(ratio, 60),
    }[keep]
    if keep == "one D":
        # Three sizes on one number of tokens.
        table = {name: np.asarray(runs[name]).copy() for name in ("N", "D", "lr", "batch", "loss")}
        mask = np.isclose(ratio, 60)
        table["D"][mask] = 2e10
        runs = iso.read(table)
    hp = iso.fit_hparams(runs.where(mask), draws=50, threshold=0.02)
    (notice,) = [w for w in hp.warnings if w.code == "not-identified"]
    assert notice.severity == "serious"
    held = set(notice.details["held"])
    assert (
        held
        == {
            "one N": {"lr_N", "batch_N"},
            "one D": {"lr_D", "batch_D"},
            "one ratio": {"lr_N", "batch_N"},
            "one cell": {"lr_N", "batch_N", "lr_D", "batch_D"},
        }[keep]
    )
    c = 0
    best = hp.plateau(N=hp.sweep.N[c], D=hp.sweep.D[c])
    own = hp.surfaces[c]
    assert best.lr == pytest.approx(own.lr, rel=0.25)


def test_too_few_runs_are_refused_with_their_count(exact):
    runs = exact()
    few = runs.where(np.arange(runs.n) % 49 < 2)
    with pytest.raises(iso.DataError, match="24 runs in 12 cells") as caught:
        iso.fit_hparams(few)
    assert caught.value.code == "hparams-too-few-runs"


def test_too_many_cells_are_refused():
    n = 241
    table = {
        "N": np.repeat(np.geomspace(1e6, 1e13, n), 5),
        "D": np.repeat(np.geomspace(1e8, 1e15, n), 5),
        "lr": np.tile(np.geomspace(1e-4, 1e-2, 5), n),
        "batch": np.tile(np.geomspace(1e4, 1e6, 5), n),
        "loss": np.full(5 * n, 2.0),
    }
    with pytest.raises(iso.DataError) as caught:
        iso.fit_hparams(table)
    assert caught.value.code == "hparams-too-many-cells"


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ({"recipe": "steplow"}, "option"),
        ({"threshold": "2"}, "option"),
        ({"batch_on": "C"}, "option"),
        ({"draws": -1}, "option"),
        ({"tolerance": 0.0}, "option"),
        ({"by": "moe"}, "data-missing-role"),
    ],
)
def test_options_that_are_not_understood(simulated, option, code):
    with pytest.raises(iso.IsolossError) as caught:
        iso.fit_hparams(simulated, **option)
    assert caught.value.code == code


def test_a_loss_that_is_not_above_zero_is_named(exact):
    table = {name: np.asarray(exact()[name]).copy() for name in ("N", "D", "lr", "batch", "loss")}
    table["loss"][7] = -1.0
    with pytest.raises(iso.DataError, match=r"column 'loss', row 7: -1\.0 is not above zero"):
        iso.fit_hparams(table)


def test_a_run_of_weight_zero_counts_as_absent(fitted, simulated):
    table = {name: np.asarray(simulated[name]) for name in ("N", "D", "lr", "batch", "loss")}
    more = {name: np.append(column, column[0]) for name, column in table.items()}
    more["loss"][-1] = 0.5  # would be the best run of its cell by far
    more["w"] = np.append(np.ones(simulated.n), 0.0)
    again = iso.fit_hparams(iso.read(more, weights="w"), draws=0)
    np.testing.assert_allclose(again.powers.values, fitted.powers.values, rtol=1e-9)


def test_same_seed_same_bits_on_one_thread_or_two(simulated, fitted):
    one, two = (iso.fit_hparams(simulated, draws=200, n_threads=n) for n in (1, 2))
    for hp in (one, two):
        np.testing.assert_array_equal(hp.powers.draws, fitted.powers.draws)
        np.testing.assert_array_equal(hp.joint.shape.values, fitted.joint.shape.values)
    other = iso.fit_hparams(simulated, draws=200, seed=1)
    assert not np.array_equal(other.powers.draws, fitted.powers.draws)
    np.testing.assert_array_equal(other.joint.shape.values, fitted.joint.shape.values)


def test_the_order_of_rows_does_not_matter(simulated, fitted):
    order = np.random.default_rng(0).permutation(simulated.n)
    again = iso.fit_hparams(
        {name: np.asarray(simulated[name])[order] for name in ("N", "D", "lr", "batch", "loss")}, draws=0
    )
    np.testing.assert_allclose(again.powers.values, fitted.powers.values, rtol=1e-6)


# --- cells ----------------------------------------------------------------------------------------


def test_twins_and_near_sizes_are_one(exact):
    assert levels(np.log([3.45e-4, 3.453e-4, 6.9e-4])).size == 2
    assert clusters(np.log([1e9, 1.001e9, 2e9]), 0.02).tolist() == [0, 0, 1]
    runs = exact()
    D = np.asarray(runs["D"]) * np.exp(np.random.default_rng(0).uniform(-0.004, 0.004, runs.n))
    moved = {**{name: np.asarray(runs[name]) for name in ("N", "lr", "batch", "loss")}, "D": D}
    assert sweep_of(iso.read(moved)).cells == sweep_of(runs).cells == 12
    assert sweep_of(iso.read(moved), tolerance=1e-4).cells > 100


def test_optima_at_an_edge_are_recognised(exact):
    runs = exact()
    cut = np.log(runs["lr"] / 0.002) < -0.6 * np.log(runs["N"] / 3e8) + 0.2 * np.log(runs["D"] / 2e10) - 0.1
    hp = iso.fit_hparams(runs.where(cut), draws=0, threshold=0.02)
    (notice,) = [w for w in hp.warnings if w.code == "optimum-at-edge"]
    assert "highest" in notice.message
    assert len(notice.details["cells"]) == 12
    # The surface still finds the optimum that lies outside the grid.
    assert hp.predict(N=3e8, D=2e10).lr == pytest.approx(0.002, rel=0.15)


def test_runs_that_determine_no_optimum_end_early_and_say_so(simulated):
    rng = np.random.default_rng(0)
    noise = {**simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160], settings=5)}
    noise["loss"] = 3.0 + rng.normal(0.0, 0.003, len(noise["loss"]))
    hp = iso.fit_hparams(noise, draws=1000)
    told = [notice for notice in hp.warnings if notice.code == "not-identified"]
    assert {notice.details["of"] for notice in told} == {"learning rate", "batch"}
    assert all(notice.severity == "serious" for notice in told)
    assert hp.joint.requested == 100
    fine = iso.fit_hparams(simulated, draws=150)
    assert fine.joint.requested == 150
    assert not [notice for notice in fine.warnings if notice.code == "not-identified"]
    # The refits before and after the look are those of one batch.
    assert np.array_equal(fine.joint.draws.values[:100], iso.fit_hparams(simulated, draws=100).joint.draws.values)


@pytest.mark.parametrize("weight", [1e-300, 1e300])
def test_the_scale_of_the_weights_says_nothing(simulated, fitted, weight):
    rows = {name: simulated[name] for name in ("N", "D", "lr", "batch", "loss")}
    heavy = iso.fit_hparams(iso.read({**rows, "w": np.full(simulated.n, weight)}, weights="w"), draws=200)
    assert np.allclose(heavy.powers.values, fitted.powers.values, rtol=1e-6)
    assert heavy.between.df == fitted.between.df
    assert np.allclose(heavy.between.covariance, fitted.between.covariance, rtol=1e-3, atol=1e-12)
