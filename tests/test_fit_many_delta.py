"""Widths of robust objectives from the data, for each of many problems by itself."""

import numpy as np
import pytest

import isoloss as iso
from isoloss.engine.autodelta import robust_sigma
from isoloss.objective import Huber

LAW = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
N = np.geomspace(1e7, 1e10, 24)


def losses(B, seed=0):
    """Targets with noise of a size of their own, and some outliers."""
    rng = np.random.default_rng(seed)
    noise = np.geomspace(1e-3, 3e-2, B)[:, None] * rng.standard_normal((B, len(N)))
    noise[:, ::7] *= 8.0
    return LAW(N=N, E=1.8, A=400.0, alpha=0.34) * np.exp(noise)


def test_every_problem_gets_the_width_that_it_gets_alone():
    targets = losses(6)
    table = iso.fit_many(LAW, {"N": N}, targets, objective="huber_log", delta="auto")
    assert table.success.all()
    assert table.delta_settled.all()
    for b, y in enumerate(targets):
        fit = iso.fit(LAW, {"N": N, "loss": y}, objective="huber_log", delta="auto")
        assert table.delta[b] == pytest.approx(fit.objective.delta, rel=1e-5)
        assert table.params[b] == pytest.approx(fit.vector, rel=1e-4)
        # The fixed point itself.
        residual = np.log(LAW(N=N, **dict(zip(LAW.parameters, table.params[b], strict=True)))) - np.log(y)
        assert table.delta[b] == pytest.approx(1.345 * robust_sigma(residual), rel=1e-5)
        known = iso.fit_many(LAW, {"N": N}, y, objective=Huber(float(table.delta[b])))
        assert table.value[b] == pytest.approx(known.value[0], rel=1e-9)
    # They differ as the noise does.
    assert table.delta[-1] > 10.0 * table.delta[0]


def test_company_and_threads_do_not_change_a_bit():
    targets = losses(7, seed=1)
    weights = np.random.default_rng(2).integers(0, 3, targets.shape).astype(float)
    options = {"objective": "huber_log", "delta": "auto"}
    table = iso.fit_many(LAW, {"N": N}, targets, weights=weights, **options)
    order = np.array([3, 0, 6, 1, 5, 2, 4])
    for other in (
        iso.fit_many(LAW, {"N": N}, targets[order], weights=weights[order], n_threads=1, **options),
        iso.fit_many(LAW, {"N": N}, targets[order[:1]], weights=weights[order[:1]], **options),
    ):
        rows = order[: len(other)]
        np.testing.assert_array_equal(other.delta, table.delta[rows])
        np.testing.assert_array_equal(other.params, table.params[rows])
        np.testing.assert_array_equal(other.value, table.value[rows])


def test_curves_of_a_panel_have_widths_of_their_own():
    targets = losses(4, seed=3)
    lengths = [24, 15, 9, 20]
    x = [N[:n] for n in lengths]
    y = [row[:n] for row, n in zip(targets, lengths, strict=True)]
    options = {"starts": [2.0, 300.0, 0.3], "objective": "soft_l1_log", "delta": "auto"}
    table = iso.fit_many(LAW, {"N": x}, y, **options)
    for b in range(4):
        alone = iso.fit_many(LAW, {"N": x[b]}, y[b], **options)
        assert table.delta[b] == alone.delta[0]
        np.testing.assert_array_equal(table.params[b], alone.params[0])
    frame = table.to_frame("dict")
    np.testing.assert_array_equal(frame["delta"], table.delta)
    assert frame["delta_settled"].all()


def test_exact_targets_end_at_the_least_width():
    exact = LAW(N=N, E=1.8, A=400.0, alpha=0.34)
    table = iso.fit_many(LAW, {"N": N}, np.vstack([exact, losses(1)]), objective="huber_log", delta="auto")
    fit = iso.fit(LAW, {"N": N, "loss": exact}, objective="huber_log", delta="auto")
    assert table.delta[0] == pytest.approx(fit.objective.delta, rel=1e-9)
    assert table.params[0] == pytest.approx([1.8, 400.0, 0.34], rel=1e-6)


def test_a_width_that_is_given_is_not_reported():
    table = iso.fit_many(LAW, {"N": N}, losses(2), objective=Huber(1e-2))
    assert table.delta is None
    assert "delta" not in table.to_frame("dict")
