"""The simulated sweep: its laws, its noise, and its refusals."""

import numpy as np
import pytest

import isoloss as iso
from isoloss import simulate


def test_step_law_at_the_published_test_cell():
    # Bootstrap mean of the authors' own file at N = 1e9, D = 1e11: lr 1.632e-3, batch 1.1077e6
    # tokens; the printed coefficients are rounded to three digits.
    assert simulate.best_lr(1e9, 1e11) == pytest.approx(1.632e-3, rel=0.01)
    assert simulate.best_batch(1e11) == pytest.approx(1.1077e6, rel=0.01)


def test_truth_is_the_registry_and_not_a_copy():
    published = iso.laws.get("chinchilla").published["besiroglu2024"].params
    assert simulate.truth() == {name: published[name] for name in ("E", "A", "alpha", "B", "beta")}


def test_floor_is_the_chinchilla_law():
    p = simulate.truth()
    N, D = np.array([1e8, 7e10]), np.array([2e9, 1.4e12])
    expected = p["E"] + p["A"] / N ** p["alpha"] + p["B"] / D ** p["beta"]
    np.testing.assert_allclose(simulate.floor(N, D), expected, rtol=1e-12)


def test_excess_is_zero_at_the_best_and_convex_in_logs():
    x = np.linspace(-3.0, 3.0, 121)
    for along_lr in (True, False):
        ratio = 2.0**x
        curve = simulate.excess(ratio, 1.0) if along_lr else simulate.excess(1.0, ratio)
        assert curve[60] == 0.0
        assert np.all(np.delete(curve, 60) > 0.0)
        assert np.all(np.diff(curve, 2) > 0.0)


def test_too_high_a_learning_rate_costs_more_than_too_low_a_one():
    ratio = np.array([1.5, 2.0, 4.0])
    assert np.all(simulate.excess(ratio, 1.0) > 2.0 * simulate.excess(1.0 / ratio, 1.0))


def test_columns_are_aligned_and_positive():
    table = simulate.sweep(settings=3, replicas=2)
    assert set(table) == {"N", "D", "lr", "batch", "loss", "run", "seed"}
    assert {column.shape for column in table.values()} == {(8 * 7 * 9 * 2,)}
    for name in ("N", "D", "lr", "batch", "loss"):
        assert table[name].dtype == np.float64
        assert np.all(table[name] > 0.0)
    np.testing.assert_allclose(np.unique(np.round(table["D"] / table["N"])), [5, 10, 20, 40, 80, 160, 320])


def test_replicas_share_their_setting_and_differ_by_noise_alone():
    table = simulate.sweep(settings=2, replicas=3, noise=0.01)
    for name in ("N", "D", "lr", "batch", "run"):
        assert np.all(table[name].reshape(-1, 3) == table[name].reshape(-1, 3)[:, :1])
    assert np.all(np.ptp(table["loss"].reshape(-1, 3), axis=1) > 0.0)


def test_without_noise_the_loss_is_floor_times_excess():
    table = simulate.sweep(noise=0.0, settings=4)
    lr_ratio = table["lr"] / simulate.best_lr(table["N"], table["D"])
    batch_ratio = table["batch"] / simulate.best_batch(table["D"])
    above = table["loss"] / simulate.floor(table["N"], table["D"]) - 1.0
    np.testing.assert_allclose(above, simulate.excess(lr_ratio, batch_ratio), atol=1e-13)


def test_noise_has_the_asked_size_and_no_bias():
    quiet = simulate.sweep(noise=0.0, replicas=4)["loss"]
    ratio = np.log(simulate.sweep(noise=0.02, replicas=4, seed=3)["loss"] / quiet)
    assert ratio.std() == pytest.approx(0.02, rel=0.05)
    assert abs(ratio.mean()) < 4 * 0.02 / np.sqrt(ratio.size)


def test_grid_brackets_the_best_setting_and_is_shared_by_all_cells():
    table = simulate.sweep(settings=5, step=2.0)
    for name, best in (
        ("lr", simulate.best_lr(table["N"], table["D"])),
        ("batch", simulate.best_batch(table["D"])),
    ):
        steps = np.log2(table[name])
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
        off = np.log2(table[name] / best).reshape(-1, 25)
        assert np.all(off.min(axis=1) < -1.0)
        assert np.all(off.max(axis=1) > 1.0)


def test_seed_decides_everything():
    first, again, other = (simulate.sweep(seed=s)["loss"] for s in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(simulate.sweep(seed=np.random.default_rng(5))["loss"], first)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("N", [1e8, -1.0]),
        ("N", []),
        ("tokens_per_parameter", [np.nan]),
        ("settings", 0),
        ("replicas", 0),
        ("step", 1.0),
        ("step", np.inf),
        ("noise", -0.1),
        ("noise", np.nan),
    ],
)
def test_impossible_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=argument):
        simulate.sweep(**{argument: value})


def test_reads_as_runs_with_groups():
    runs = iso.read(simulate.sweep(settings=2, replicas=2), group="run")
    assert {"N", "D", "C", "lr", "batch", "loss"} <= set(runs.names)
    assert len(np.unique(runs.group)) == 8 * 7 * 4
