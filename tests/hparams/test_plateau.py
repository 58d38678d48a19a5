"""The plateau, and what settings cost in measured cells."""

import math

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import OptionError
from isoloss.hparams.between import Between
from isoloss.hparams.plateau import plateau_of, relative
from isoloss.hparams.shape import Shape
from isoloss.hparams.surface import _interpolated, cost

# --- plateau --------------------------------------------------------------------------------------


CELLS = Between(
    optimum=np.zeros((0, 2)), error=np.zeros((0, 2, 2)), deviation=np.zeros((0, 2)), covariance=np.eye(2), df=0
)


def shape_of(a=0.011, k=0.6, b=0.0045, ridge=0.5):
    return Shape(values=np.array([0.0] * 6 + [ridge, a, k, b]), pivot=np.log([1e9, 2e10, 1e-3, 4e5]))


@pytest.mark.parametrize("k", [1e-3, 0.6, 2.5])
@pytest.mark.parametrize("within", [0.0005, 0.0025, 0.02])
def test_the_plateau_is_where_the_surface_says(k, within):
    shape = shape_of(k=k)
    none = Shape(values=np.empty((0, 10)), pivot=shape.pivot)
    flat = plateau_of(shape, none, CELLS, 1e9, 2e10, within, "surface", 0.0, 0.95)
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
    flat = plateau_of(shape, none, CELLS, 1e9, 2e10, 0.001, "surface", 0.0, 0.95)
    assert flat.area == pytest.approx(math.pi * 0.001 / math.sqrt(0.0055 * 0.0045) / math.log(2) ** 2, rel=2e-3)
    assert flat.safe_box.area / flat.area == pytest.approx(2 / math.pi, rel=5e-3)
    assert flat.safe_box.octaves[0] / flat.box.octaves[0] == pytest.approx(math.sqrt(0.5), rel=1e-2)


def test_a_probability_is_the_share_of_draws_counted_by_hand(fitted):
    """At settings near the edge, where it is neither nought nor one, and by the formula rather than the class."""
    N, D, within = 1e9, 4e10, 0.002
    flat = fitted.plateau(N=N, D=D, within=within)
    lr, batch = flat.lr * np.exp(np.linspace(-0.8, 0.8, 161)), flat.batch * np.exp(0.2)
    powers, count = flat.draws.powers(), np.zeros(161)
    for i, (ridge, a, k, b) in enumerate(flat.draws.values[:, 6:]):
        at = {name: float(values[i]) for name, values in powers.items()}
        x = np.log(lr) - (at["lr_c"] + at["lr_N"] * np.log(N) + at["lr_D"] * np.log(D))
        y = np.log(batch) - (at["batch_d"] + at["batch_N"] * np.log(N) + at["batch_D"] * np.log(D))
        w = x - ridge * y
        count += np.exp(a * (np.exp(k * w) - 1 - k * w) / k**2 + b * y**2) - 1 <= within
    share = count / len(flat.draws.values)
    assert np.sum((share > 0.05) & (share < 0.95)) > 5
    np.testing.assert_allclose(flat.probability(lr, batch), share, atol=2e-3)


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
    with pytest.raises(OptionError, match=r"is 20 % of the loss.*'0\.2%'"):
        fitted.plateau(N=1e9, D=4e10, within=0.2)
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
