"""Learning rate, batch and plateau from sweeps: simulated ones with a known truth, and the released Step Law runs."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

import isoloss as iso
from isoloss import simulate
from isoloss.hparams.joint import SHARED, Shape, nearness
from isoloss.hparams.plateau import plateau_of, relative
from isoloss.hparams.powers import from_recipe
from isoloss.hparams.surface import _interpolated, cost
from isoloss.hparams.sweep import clusters, levels, sweep_of

SIZES, RATIOS = [1e8, 2e8, 5e8, 1e9], [10, 40, 160]


@pytest.fixture(scope="module")
def simulated():
    return iso.read(simulate.sweep(N=SIZES, tokens_per_parameter=RATIOS, settings=7, step=2**0.5, seed=3))


@pytest.fixture(scope="module")
def fitted(simulated):
    return iso.fit_hparams(simulated, draws=200)


@pytest.fixture(scope="module")
def dense(data_dir):
    """The released dense sweep."""
    return iso.read(
        data_dir / "steplaw_dense.csv",
        N="params_non_embedding",
        D="tokens",
        loss="loss_smooth",
        lr="lr",
        batch="batch_size_sequences",
        batch_unit="sequences",
        seq_len="seq_len",
    )


@pytest.fixture(scope="module")
def step(dense):
    return iso.fit_hparams(dense)


# --- the joint surface ----------------------------------------------------------------------------


def exact(a=0.01, k=0.8, b=0.004, ridge=0.4, lr=(0.002, -0.6, 0.2), batch=(3e5, -0.1, 0.5), noise=0.0, cells=SIZES):
    """Runs that lie on a surface of the very form that is fitted, with excesses within a few per cent."""
    rng = np.random.default_rng(5)
    columns = {name: [] for name in ("N", "D", "lr", "batch", "loss")}
    for N in cells:
        for D in (20 * N, 60 * N, 200 * N):
            x, y = (m.ravel() for m in np.meshgrid(np.linspace(-1.5, 1.2, 7), np.linspace(-1.6, 1.6, 7)))
            w = x - ridge * y
            excess = a * (np.expm1(k * w) - k * w) / k**2 + b * y**2
            n, d = np.log(N / 3e8), np.log(D / 2e10)
            columns["N"] += [N] * len(x)
            columns["D"] += [D] * len(x)
            columns["lr"] += list(lr[0] * np.exp(lr[1] * n + lr[2] * d + x))
            columns["batch"] += list(batch[0] * np.exp(batch[1] * n + batch[2] * d + y))
            floor = 1.7 + 400 / N**0.34 + 410 / D**0.28
            columns["loss"] += list(floor * np.exp(excess + noise * rng.standard_normal(len(x))))
    return iso.read({name: np.array(values) for name, values in columns.items()})


def test_the_surface_is_recovered_from_exact_runs():
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


def test_exponents_of_a_noisy_sweep_lie_in_their_intervals():
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
def test_what_the_cells_cannot_tell_is_held_and_said(keep):
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


def test_too_few_runs_are_refused_with_their_count():
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


def test_a_loss_that_is_not_above_zero_is_named():
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


def test_twins_and_near_sizes_are_one():
    assert levels(np.log([3.45e-4, 3.453e-4, 6.9e-4])).size == 2
    assert clusters(np.log([1e9, 1.001e9, 2e9]), 0.02).tolist() == [0, 0, 1]
    runs = exact()
    D = np.asarray(runs["D"]) * np.exp(np.random.default_rng(0).uniform(-0.004, 0.004, runs.n))
    moved = {**{name: np.asarray(runs[name]) for name in ("N", "lr", "batch", "loss")}, "D": D}
    assert sweep_of(iso.read(moved)).cells == sweep_of(runs).cells == 12
    assert sweep_of(iso.read(moved), tolerance=1e-4).cells > 100


def test_optima_at_an_edge_are_recognised():
    runs = exact()
    cut = np.log(runs["lr"] / 0.002) < -0.6 * np.log(runs["N"] / 3e8) + 0.2 * np.log(runs["D"] / 2e10) - 0.1
    hp = iso.fit_hparams(runs.where(cut), draws=0, threshold=0.02)
    (notice,) = [w for w in hp.warnings if w.code == "optimum-at-edge"]
    assert "highest" in notice.message
    assert len(notice.details["cells"]) == 12
    # The surface still finds the optimum that lies outside the grid.
    assert hp.predict(N=3e8, D=2e10).lr == pytest.approx(0.002, rel=0.15)


# --- plateau --------------------------------------------------------------------------------------


def shape_of(a=0.011, k=0.6, b=0.0045, ridge=0.5):
    return Shape(values=np.array([0.0] * 6 + [ridge, a, k, b]), pivot=np.log([1e9, 2e10, 1e-3, 4e5]))


@pytest.mark.parametrize("k", [1e-3, 0.6, 2.5])
@pytest.mark.parametrize("within", [0.0005, 0.0025, 0.02])
def test_the_plateau_is_where_the_surface_says(k, within):
    shape = shape_of(k=k)
    none = Shape(values=np.empty((0, 10)), pivot=shape.pivot)
    flat = plateau_of(shape, none, 1e9, 2e10, within, "surface", 0.0, 0.95)
    assert (flat.lr, flat.batch) == pytest.approx((1e-3, 4e5))
    on_edge = shape.excess(np.log(flat.outline[:, 0] / 1e-3), np.log(flat.outline[:, 1] / 4e5))
    np.testing.assert_allclose(on_edge, within, rtol=1e-6)
    # The area by throwing points at it, and the box by the outermost of them.
    u, v = np.random.default_rng(1).uniform(-1, 1, (2, 200_000)) * 1.02
    width = [
        max(abs(np.log2(np.array(side) / centre))) for side, centre in ((flat.box.lr, 1e-3), (flat.box.batch, 4e5))
    ]
    inside = flat.contains(1e-3 * 2 ** (u * width[0]), 4e5 * 2 ** (v * width[1]))
    assert flat.area == pytest.approx(inside.mean() * 4 * 1.02**2 * width[0] * width[1], rel=0.02)
    assert (1e-3 * 2 ** (u[inside] * width[0])).max() == pytest.approx(flat.box.lr[1], rel=0.02)
    assert (4e5 * 2 ** (v[inside] * width[1])).min() == pytest.approx(flat.box.batch[0], rel=0.02)
    for lr in flat.safe_box.lr:
        for batch in flat.safe_box.batch:
            assert float(shape.excess(np.log(lr / 1e-3), np.log(batch / 4e5))) <= within * 1.005
    assert 0.3 < flat.safe_box.area / flat.area < 0.66


def test_without_coupling_the_safe_box_is_the_inscribed_square():
    """In an ellipse with axes along the variables the largest rectangle has 2 / pi of its area (calculus)."""
    shape = shape_of(k=1e-3, ridge=0.0)
    none = Shape(values=np.empty((0, 10)), pivot=shape.pivot)
    flat = plateau_of(shape, none, 1e9, 2e10, 0.001, "surface", 0.0, 0.95)
    assert flat.area == pytest.approx(math.pi * 0.001 / math.sqrt(0.0055 * 0.0045) / math.log(2) ** 2, rel=2e-3)
    assert flat.safe_box.area / flat.area == pytest.approx(2 / math.pi, rel=5e-3)
    assert flat.safe_box.octaves[0] / flat.box.octaves[0] == pytest.approx(math.sqrt(0.5), rel=1e-2)


def test_probabilities_over_draws(fitted):
    flat = fitted.plateau(N=1e9, D=4e10, within="0.2%")
    assert flat.probability_of_best > 0.9
    far = flat.probability(flat.lr * 30, flat.batch)
    assert far == 0.0
    grid = flat.probability(flat.lr * 2.0 ** np.linspace(-3, 3, 25), flat.batch)
    assert grid.shape == (25,)
    assert np.all(np.diff(grid[:12]) >= 0)
    assert flat.contains(flat.lr, flat.batch)
    assert flat.area_interval[0] < flat.area < flat.area_interval[1]
    wider = fitted.plateau(N=1e9, D=4e10, within=0.004)
    assert wider.area > 1.7 * flat.area


def test_counting_from_the_best_run_shrinks_the_plateau(step):
    N, D = float(step.sweep.N[9]), float(step.sweep.D[9])
    surface, run = (step.plateau(N=N, D=D, reference=how) for how in ("surface", "run"))
    assert run.area < surface.area
    tiny = step.plateau(N=N, D=D, within=step.luck / 2, reference="run")
    assert [w.code for w in tiny.warnings] == ["plateau-below-noise"]
    with pytest.raises(iso.IsolossError, match="neither 'surface' nor 'run'"):
        step.plateau(N=N, D=D, reference="loss")


def test_shares_as_numbers_and_texts():
    assert relative("within", "0.2%") == relative("within", 0.002) == relative("within", "0.002")
    for wrong in (0.0, 1.5, "a%", "-1%", None):
        with pytest.raises(iso.IsolossError, match="is not a share"):
            relative("within", wrong)


@pytest.mark.parametrize("wrong", [0.0, -1e9, float("nan"), "7Q", "a"])
def test_sizes_that_are_none(fitted, wrong):
    with pytest.raises(iso.DataError):
        fitted.predict(N=wrong, D=1e10)
    with pytest.raises(iso.DataError):
        fitted.plateau(N=1e9, D=wrong)


def test_predictions_of_arrays_and_texts_agree(fitted):
    many = fitted.predict(N=np.array([1e9, 7e9]), D="20B")
    one = fitted.predict(N="7B", D=2e10)
    assert many.lr[1] == one.lr
    assert many.batch_interval[0][1] == one.batch_interval[0]
    assert len(str(many).split("\n")) == 2 + len(many.warnings)
    assert [w.code for w in one.warnings] == ["extrapolated"]
    assert fitted.predict(N=5e8, D=2e10).warnings == ()


# --- reading costs off cells ----------------------------------------------------------------------


def test_interpolation_is_that_of_scipy_where_the_triangulation_is_unique():
    interpolate = pytest.importorskip("scipy.interpolate")
    rng = np.random.default_rng(0)
    for _ in range(20):
        points, values = rng.normal(size=(60, 2)), rng.normal(size=60)
        expected = float(interpolate.LinearNDInterpolator(points, values)(0.0, 0.0))
        assert _interpolated(points, values) == pytest.approx(expected, abs=1e-12)
    outside = points + 10.0
    assert math.isnan(_interpolated(outside, values))


def test_the_published_law_by_three_definitions(step):
    """Golden: 0.0957 % nearest (median 0.0669, max 0.310), 0.1231 % Delaunay (max 0.244), 0.0294 % own surface."""
    N, D = step.sweep.N, step.sweep.D
    lr, batch = 1.79 * N**-0.713 * D**0.307, 0.58 * D**0.571
    costs = 100 * np.array([cost(step.sweep, step.surfaces, c, lr[c], batch[c]) for c in range(17)])
    assert costs[:, 0].mean() == pytest.approx(0.0957, abs=5e-5)
    assert np.median(costs[:, 0]) == pytest.approx(0.0669, abs=5e-5)
    assert costs[:, 0].max() == pytest.approx(0.310, abs=5e-4)
    # Qhull takes one of the two equal diagonals of a rectangle of the grid, we take their mean.
    assert costs[:, 1].mean() == pytest.approx(0.1231, abs=1.5e-3)
    assert costs[:, 1].max() == pytest.approx(0.244, abs=0.015)
    assert costs[:, 2].mean() == pytest.approx(0.0294, abs=2e-4)


def test_regret_in_a_measured_cell_carries_what_was_measured(step):
    N, D = float(step.sweep.N[15]), float(step.sweep.D[15])
    found = step.regret(1e-3, 1e6, N, D)
    expected = cost(step.sweep, step.surfaces, 15, 1e-3, 1e6)
    assert found.measured == expected
    assert found.low < found.estimate < found.high
    assert "own surface" in str(found)
    grid = step.regret(np.array([5e-4, 1e-3]), 1e6, N, D)
    assert grid.estimate.shape == grid.low.shape == (2,)
    assert grid.estimate[1] == pytest.approx(found.estimate)
    assert step.regret(1e-3, 1e6, "7B", "1.4T").measured is None


def test_every_dense_cell_is_convex_near_its_best(step):
    tested = step.convexity()
    assert (tested.tested, tested.convex) == (17, 17)
    assert tested.refuted == ()
    assert all(s.p_value > 0.99 for s in tested.surfaces)


def test_a_saddle_is_found_out():
    x, y = (m.ravel() for m in np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 7)))
    noise = 1e-5 * np.random.default_rng(0).standard_normal(len(x))
    table = {
        "N": np.full(len(x), 1e8), "D": np.full(len(x), 2e9), "lr": 1e-3 * np.exp(x), "batch": 1e5 * np.exp(y),
        "loss": 2.5 * np.exp(0.002 * x**2 - 0.002 * y**2 + noise),
    }  # fmt: skip
    hp = iso.fit_hparams(table, draws=0, threshold=0.02)
    tested = hp.convexity("2%")
    assert tested.convex == 0
    assert len(tested.refuted) == 1
    assert {"cell-not-convex", "at-bound"} <= {w.code for w in hp.warnings}


# --- recipes --------------------------------------------------------------------------------------


def test_the_published_recipe_on_the_released_rows(dense):
    """Golden: 129 rows; lr = 77.7 N^-0.766 D^0.197, batch = 0.2085 D^0.6125; sd of the exponents .054, .033, .038."""
    hp = iso.fit_hparams(dense, recipe="steplaw", threshold=0.01)
    assert int((hp.sweep.excess < 0.0025).sum()) == 129
    powers = hp.powers
    assert powers.c == pytest.approx(77.7, abs=0.05)
    assert powers.exponents["lr_N"] == pytest.approx(-0.766, abs=5e-4)
    assert powers.exponents["lr_D"] == pytest.approx(0.197, abs=5e-4)
    assert powers.d == pytest.approx(0.2085, abs=5e-5)
    assert powers.exponents["batch_D"] == pytest.approx(0.6125, abs=5e-5)
    assert powers.exponents["batch_N"] == 0.0
    spread = powers.draws.std(axis=0)
    np.testing.assert_allclose(spread[[1, 2, 5]], [0.054, 0.033, 0.038], rtol=0.08)
    assert powers.mean["lr_N"] == pytest.approx(-0.766, abs=0.006)
    best = hp.predict(N="7B", D="1.4T")
    assert best.recipe == "steplaw"
    assert best.lr == pytest.approx(powers.c * 7e9 ** powers.exponents["lr_N"] * 1.4e12 ** powers.exponents["lr_D"])


def test_the_published_step_law_from_its_bootstrap_file(data_dir):
    """Golden: the mean of the 1,000 rows gives 1.7973, -0.71292, 0.30749; 0.58069, 0.57094."""
    table = np.genfromtxt(data_dir / "steplaw_published_bootstrap.csv", delimiter=",", names=True)
    mean = [np.mean(table[name]) for name in table.dtype.names]
    assert math.exp(mean[0]) == pytest.approx(1.7973, abs=5e-5)
    assert mean[1:3] == pytest.approx([-0.71292, 0.30749], abs=5e-6)
    assert math.exp(mean[3]) == pytest.approx(0.58069, abs=5e-6)
    assert mean[4] == pytest.approx(0.57094, abs=5e-6)


@pytest.mark.parametrize("recipe", ["within", "argmin", "surfaces", "steplaw"])
def test_recipes_find_exact_power_laws(recipe):
    hp = iso.fit_hparams(exact(batch=(3e5, 0.0, 0.5)), recipe=recipe, draws=50, threshold=0.02)
    assert hp.powers.recipe == recipe
    for name, truth in {"lr_N": -0.6, "lr_D": 0.2, "batch_N": 0.0, "batch_D": 0.5}.items():
        assert hp.powers.exponents[name] == pytest.approx(truth, abs=1e-6)


def test_recipes_say_when_there_are_too_few_cells(simulated):
    sweep = sweep_of(simulated)
    with pytest.raises(iso.DataError, match="too few for power laws") as caught:
        from_recipe("surfaces", sweep, [None] * sweep.cells)
    assert caught.value.code == "hparams-too-few-runs"


# --- the bars on real data ------------------------------------------------------------------------


def test_a_cell_that_was_left_out_is_predicted_better_than_the_published_law_fits_it(step):
    left_out = step.holdout("cell")
    assert len(left_out.rows) == 17
    assert 100 * left_out.cost.nearest <= 0.0957
    assert 100 * left_out.cost.surface <= 0.03
    assert left_out.best_inside >= 0.9
    (predicted, measured) = left_out.widths
    assert measured == pytest.approx((1.147, 1.154), abs=2e-3)
    assert predicted[0] <= 2 * measured[0]
    assert predicted[1] <= 2 * measured[1]
    table = step.compare()
    for row in table.rows:
        if not row.name.startswith(("joint", "steplaw")):
            assert row.mean.nearest > left_out.cost.nearest
            assert row.mean.surface > left_out.cost.surface


def test_a_left_out_cell_has_no_say_in_its_prediction(dense):
    """Spoiling the losses of a cell leaves the prediction for it untouched, bit for bit."""
    hp = iso.fit_hparams(dense, draws=0, threshold=0.01)
    columns = {name: np.asarray(dense[name]).copy() for name in ("N", "D", "lr", "batch", "loss")}
    largest = columns["N"] > 1e9
    columns["loss"][largest] *= np.random.default_rng(0).uniform(0.9, 1.5, largest.sum())
    spoilt = iso.fit_hparams(columns, draws=0, threshold=0.01)
    before, after = (law.holdout("largest N").rows for law in (hp, spoilt))
    assert [(row.lr, row.batch) for row in before] == [(row.lr, row.batch) for row in after]
    assert before[0].cost != after[0].cost


def test_the_whole_of_j1_is_quick(dense):
    hp = iso.fit_hparams(dense, draws=1000, seed=0)
    assert len(hp.powers.draws) == 1000
    assert hp.joint.failed == 0
    assert hp.seconds < 30  # the bar of 3 s is benches/bench_hparams.py; here only that nothing went astray


def test_intervals_resample_cells(dense, step):
    """A cell drawn twice counts twice as a whole: draws of a sweep of doubled rows are the same draws."""
    twice = {name: np.tile(np.asarray(dense[name]), 2) for name in ("N", "D", "lr", "batch", "loss")}
    threshold = step.joint.choice.threshold
    one, two = (iso.fit_hparams(runs, draws=50, threshold=threshold) for runs in (dense, iso.read(twice)))
    np.testing.assert_allclose(two.powers.draws, one.powers.draws, atol=2e-3)
    assert one.powers.draws[:, 1].std() > 0.03


def test_mixtures_of_experts_go_by_the_total(data_dir):
    """The published law with total N is far nearer to the released MoE runs than with activated N."""
    roles = {
        "D": "tokens",
        "loss": "loss_smooth",
        "lr": "lr",
        "batch": "batch_size_tokens",
        "active": "params_active_non_embedding",
    }
    total = iso.read(data_dir / "steplaw_moe.csv", N="params_total_non_embedding", **roles)
    hp = iso.fit_hparams(total, by="active", draws=0)
    assert hp.sweep.cells == 16
    assert "active" in hp.sweep.name(0)
    assert any(w.code == "not-identified" for w in hp.warnings)  # one total size
    excess = {}
    for name, size in (("total", hp.sweep.N), ("active", np.array([float(x.split()[1]) for x in hp.sweep.labels]))):
        lr, batch = 1.79 * size**-0.713 * hp.sweep.D**0.307, 0.58 * hp.sweep.D**0.571
        excess[name] = np.mean([cost(hp.sweep, hp.surfaces, c, lr[c], batch[c]).nearest for c in range(16)])
    assert excess["total"] < 0.005 < excess["active"]
    active = iso.read(
        data_dir / "steplaw_moe.csv",
        N="params_active_non_embedding",
        **{k: v for k, v in roles.items() if k != "active"},
    )
    assert "hparams-active-n" in {w.code for w in iso.fit_hparams(active, draws=0).warnings}


# --- sensitivity, alternatives, critical batch ----------------------------------------------------


def test_one_table_of_every_arbitrary_choice(fitted):
    table = fitted.sensitivity(N=1e9, D=4e10)
    assert [row.choice for row in table.rows if row.used] == list(dict.fromkeys(row.choice for row in table.rows))
    answer = fitted.predict(N=1e9, D=4e10)
    for row in table.rows:
        if row.used:
            assert (row.lr, row.batch) == pytest.approx((answer.lr, answer.batch), rel=1e-6)
    assert table.lr[0] <= answer.lr <= table.lr[1]
    assert "threshold" in str(table)
    assert len(table.to_frame()["lr"]) == len(table)
    with pytest.raises(iso.IsolossError, match="did you mean 'threshold'"):
        fitted.sensitivity("treshold")


def test_recipes_side_by_side(fitted):
    side = fitted.alternatives(N=1e9, D=4e10)
    assert list(side.answers)[:5] == ["joint", "steplaw", "within", "argmin", "surfaces"]
    assert side.excess["joint"] == pytest.approx(0.0, abs=1e-9)
    assert all(side.answers[name].lr_interval[0] < side.answers[name].lr_interval[1] for name in ("joint", "argmin"))
    assert "porian:porian2024" in side.answers
    assert "minicpm:hu2024" in side.notes


def test_critical_batch_by_its_definition():
    """At fixed loss: ln F falls by 0.2 saved tokens as much as the batch costs."""
    hp = iso.fit_hparams(exact(), draws=0, threshold=0.02)
    found = hp.critical_batch(N=3e8, D=2e10, overhead=0.2)
    n, d = np.log(hp.sweep.N), np.log(hp.sweep.D)
    slope = np.linalg.lstsq(np.column_stack([np.ones(12), n, d]), np.log(hp.joint.floor), rcond=None)[0][2]
    expected = 3e5 * np.exp(np.sqrt(-slope * np.log(1.2) / 0.004))
    assert found.batch == pytest.approx(expected, rel=2e-3)
    assert found.reached
    far = hp.critical_batch(N=3e8, D=2e10, overhead=30.0)
    assert not far.reached
    assert [w.code for w in far.warnings] == ["critical-batch-unreached"]
    with pytest.raises(iso.IsolossError, match="overhead"):
        hp.critical_batch(N=3e8, D=2e10, overhead=0.0)


# --- check ----------------------------------------------------------------------------------------


def test_check_finds_what_the_dense_sweep_holds(dense):
    found = dense.check()
    assert (found.runs, found.cells, found.diverged) == (1911, 17, 181)
    assert "runs-diverged" in found.codes
    assert "optimum-at-edge" not in found.codes
    assert found.tokens_per_parameter == pytest.approx((18.6, 466), rel=0.01)
    assert "1,911 runs in 17 cells" in str(found)


def test_check_doubts_units():
    good = exact()
    table = {name: np.asarray(good[name]).copy() for name in ("N", "D", "lr", "batch", "loss")}
    assert iso.read(table).check().findings == ()
    for name, factor, role in (("batch", 1 / 2048, "batch"), ("lr", 1e4, "lr"), ("N", 1e-6, "N"), ("D", 1e-6, "D")):
        wrong = {**table, name: table[name] * factor}
        notices = [w for w in iso.read(wrong).check().findings if w.code == "unit-doubtful"]
        assert role in [w.details["role"] for w in notices]


def test_check_measures_the_noise_of_repeated_runs():
    runs = iso.read(simulate.sweep(N=SIZES, tokens_per_parameter=RATIOS, settings=3, replicas=2, noise=2e-3, seed=0))
    found = runs.check()
    assert found.repeated == runs.n
    assert found.noise == pytest.approx(2e-3, rel=0.2)
    one_ratio = iso.read(simulate.sweep(N=SIZES, tokens_per_parameter=[20], settings=3, seed=0)).check()
    assert "narrow-tokens-per-parameter" in one_ratio.codes
    plain = iso.read({"N": [1e8, 2e8], "D": [2e9, 9e9], "loss": [3.0, 2.8]}).check()
    assert (plain.cells, plain.diverged) == (2, 0)


# --- command line ---------------------------------------------------------------------------------


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "isoloss", "hparams", *map(str, words)], capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def runs_csv(tmp_path_factory, simulated):
    folder = tmp_path_factory.mktemp("hparams")
    names = ("N", "D", "lr", "batch", "loss")
    rows = zip(*(np.asarray(simulated[name]).tolist() for name in names), strict=True)
    lines = [f"{N!r},{D!r},{lr!r},{batch / 2048!r},{loss!r}" for N, D, lr, batch, loss in rows]
    (folder / "runs.csv").write_text("params,tokens,peak_lr,gbs,val\n" + "\n".join(lines) + "\n")
    (folder / "map.toml").write_text(
        'N = "params"\nD = "tokens"\nlr = "peak_lr"\nbatch = "gbs"\nloss = "val"\n'
        'batch_unit = "sequences"\nseq_len = 2048\n'
    )
    return folder / "runs.csv"


def test_the_line_of_the_journey(runs_csv, fitted):
    done = command(
        runs_csv,
        "--map",
        runs_csv.parent / "map.toml",
        "--at",
        "7e9,1.4e12",
        "--within",
        "0.2%",
        "--draws",
        200,
        "--json",
    )
    assert (done.returncode, done.stderr) == (0, "")
    (answer,) = json.loads(done.stdout)["answers"]
    best = fitted.predict(N=7e9, D=1.4e12)
    assert answer["predict"]["lr"] == pytest.approx(best.lr, rel=1e-6)
    assert answer["predict"]["batch_interval"] == pytest.approx(list(best.batch_interval), rel=1e-6)
    assert answer["predict"]["sequences"] == pytest.approx(best.batch / 2048, rel=1e-6)
    assert answer["plateau"]["within"] == 0.002
    text = command(
        runs_csv, "--map", runs_csv.parent / "map.toml", "--at", "7B,1.4T", "--draws", 20, "--threshold", "1%"
    )
    assert text.returncode == 0, text.stderr
    assert "sequences)" in text.stdout
    assert "safe" in text.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--at", "7B,1.4T"],
        ["runs.csv", "--law", "porian", "--at", "7B,1.4T"],
        ["--law", "porian", "--at", "7B"],
        ["--law", "nobody", "--at", "7B,1.4T"],
        ["no-such.csv", "--at", "7B,1.4T"],
        ["--law", "minicpm", "--at", "7B,1.4T"],
    ],
)
def test_wrong_usage_is_one_line(words):
    done = command(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("isoloss: error [")
    assert done.stderr.count("\n") == 1


def test_batches_are_told_in_sequences_where_all_have_one_length(step):
    best = step.predict(N=1e9, D=2e10)
    assert best.sequences == pytest.approx(best.batch / 2048)
    assert str(best).split("\n")[0].endswith(f"({best.batch / 2048:,.0f} sequences)")
    table = {"N": [1e8, 1e8], "D": [2e9, 2e9], "loss": [3.0, 3.1], "gbs": [64, 64], "length": [2048, 4096]}
    mixed = iso.read(table, batch="gbs", batch_unit="sequences", seq_len="length")
    assert mixed.seq_len is None
    assert iso.read(table, batch="gbs", batch_unit="sequences", seq_len=1024).seq_len == 1024


def test_a_published_law_without_any_runs():
    done = command("--law", "porian", "--at", "1B,20B", "--json")
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)["answers"]
    assert answer["predict"]["lr"] == pytest.approx(3.7 * 1e9**-0.36)
    assert answer["predict"]["batch"] == pytest.approx(0.00037 * 1e9**0.703 * 2048)
    only_batch = command("--law", "minicpm", "--loss", "2.0", "--at", "1B,20B")
    assert "lr not given" in only_batch.stdout


def test_the_plug_and_play_calculator():
    """Table 2 of the paper gives 9.166e-4 and 4.999e6 tokens at 7B and 1.4T; its bootstrap mean another 2 %."""
    done = command("--law", "steplaw", "--at", "7B,1.4T")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "steplaw:table2 at N 7.00B, D 1.40T\nlr 9.17e-4   batch 5.00M tok\n"
    (table,) = json.loads(command("--law", "steplaw", "--at", "N=7B,D=1.4T", "--json").stdout)["answers"]
    assert table["predict"]["lr"] == pytest.approx(9.166e-4, abs=5e-8)
    assert table["predict"]["batch"] == pytest.approx(4.999e6, abs=5e2)
    (mean,) = json.loads(command("--law", "steplaw:bootstrap_mean", "--at", "7B,1.4T", "--json").stdout)["answers"]
    assert mean["predict"]["lr"] == pytest.approx(1.7973 * 7e9**-0.71292 * 1.4e12**0.30749, rel=1e-3)
