"""The Multi-Power Law: the sum over all steps, golden figures of the released curves, journey J4 as it is written.

The expected figures were computed apart from this package, with NumPy, from `lr_schedule_curves.csv` and the sets in
the authors' repository.
"""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import isoloss as iso
from isoloss.curves.best_schedule import FinalLoss
from isoloss.curves.fit import CurveFit
from isoloss.curves.rows import features, points

S = iso.schedules
NAMES = ("L0", "A", "alpha", "B", "C", "beta", "gamma")
LAW = iso.laws.get("multi_power")


PEAK = 3e-4


@pytest.fixture(scope="module")
def released(released_curves):
    return released_curves


def exact(schedule, steps, params):
    """The loss by the sum over every step, as the paper writes it."""
    L0, A, alpha, B, C, beta, gamma = (params[name] for name in NAMES)
    lr = np.maximum(schedule.values, 1e-9 * schedule.peak)
    area = np.cumsum(lr) - lr[0]
    out = []
    for t in steps:
        k = np.arange(1, t + 1)
        gain = 1.0 - (1.0 + C * lr[k] ** -gamma * (area[t] - area[k - 1])) ** -beta
        out.append(L0 + A * area[t] ** -alpha - B * np.sum((lr[k - 1] - lr[k]) * gain))
    return np.array(out)


def test_the_law_is_the_sum_over_every_step():
    params = LAW.published["luo2025_100m"].params
    for schedule in (S.cosine(steps=24_000, peak=PEAK, warmup=2160), S.linear(steps=9_000, peak=PEAK, warmup=500)):
        step = np.unique(np.geomspace(schedule.warmup + 100, schedule.steps, 20).astype(np.int64))
        mine = LAW.bind(params)(**features(LAW, schedule, step, {}), **points(LAW, schedule, step))
        np.testing.assert_allclose(mine, exact(schedule, step, params), rtol=1e-6)


@pytest.mark.parametrize(
    ("size", "r2", "mae"), [(25, 0.99880, 0.00376), (100, 0.99830, 0.00435), (400, 0.99776, 0.00484)]
)
def test_published_sets_predict_the_held_out_curves_as_the_paper_says(released, size, r2, mae):
    mine = released.where(N=size)
    published = dict(LAW.published[f"luo2025_{size}m"].params)
    fit = iso.fit(LAW, mine.where(split="fit"), fix=published)
    assert fit.params == pytest.approx(published)
    error = fit.holdout(mine.where(split="test"))
    assert len(error) == 6
    assert error.r2 == pytest.approx(r2, abs=1.5e-5)
    assert error.mae == pytest.approx(mae, abs=1.5e-5)


# Mean R2 and MAE of our own fits on the six held-out curves. A lower objective than that of the published set does not
# mean a lower test error here, which is known of these sets; the fit may not be worse than this, though.
OWN = [(25, 0.9975, 0.0048), (100, 0.9969, 0.0052), (400, 0.9961, 0.0063)]


@pytest.mark.parametrize(("size", "r2", "mae"), OWN)
def test_our_own_fit_is_lower_and_predicts_about_as_well(released, size, r2, mae):
    mine = released.where(N=size)
    fit = iso.fit(LAW, mine.where(split="fit"))
    assert fit.success
    published = iso.fit(LAW, mine.where(split="fit"), fix=dict(LAW.published[f"luo2025_{size}m"].params))
    assert fit.value < published.value / 2.0
    error = fit.holdout(mine.where(split="test"))
    assert error.r2 > r2
    assert error.mae < mae
    assert error.worst < 0.06


def test_journey_4_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = iso.simulate.curves(law="multi_power", source="luo2025_100m", steps=24_000, warmup=2_000, every=600)
    pd.DataFrame(table).rename(columns={"run": "run_id"}).drop(columns="schedule").to_parquet("curves.parquet")

    curves = iso.read_curves("curves.parquet", step="step", loss="loss", lr="lr", run="run_id")
    law = iso.fit("multi_power", curves.where(schedule="cosine"))
    wsd = iso.schedules.wsd(steps=72_000, peak=3e-4, decay=0.2, decay_to=0.1, warmup=2_000)
    axes = law.predict(wsd).plot(band=0.95)
    held_out = law.holdout(curves.where(schedule="wsd"))
    best = law.optimize_schedule(steps=72_000, peak=3e-4)

    assert isinstance(law, CurveFit)
    assert law.success
    assert "95 % band" in axes.get_legend_handles_labels()[1]
    assert held_out.mae < 0.04
    assert held_out.worst >= held_out.mae
    assert abs(held_out.final) <= held_out.worst
    assert all(best.loss < loss for loss in best.rivals.values())
    assert law.predict(best.schedule).final == pytest.approx(best.loss, rel=2e-6)


@pytest.fixture(scope="module")
def fit():
    table = iso.simulate.curves(
        ["cosine", "constant", "two_stage"], law="multi_power", source="luo2025_100m", steps=8_000, every=300
    )
    return iso.fit("multi_power", iso.read_curves(table))


def test_a_planted_law_is_found_again_without_noise():
    made = {
        "cosine": S.cosine(steps=24_000, peak=PEAK, warmup=1500),
        "constant": S.constant(steps=24_000, peak=PEAK, warmup=1500),
        "two_stage": S.multi_step(steps=24_000, peak=PEAK, at=[0.5], to=[0.3], warmup=1500),
    }
    table = iso.simulate.curves(made, law="multi_power", source="luo2025_100m", every=200, noise=0.0)
    found = iso.fit("multi_power", iso.read_curves(table, schedules=made))
    truth = LAW.published["luo2025_100m"].params
    assert found.value < 1e-12
    assert found.params == pytest.approx(dict(truth), rel=1e-4)


def test_the_derivative_by_the_schedule_is_that_of_differences(fit):
    target = FinalLoss(fit, {}, 50)
    schedule = S.cosine(steps=400, peak=PEAK, warmup=50)
    loss, slope = target(schedule.values)
    assert loss == pytest.approx(exact(schedule, [400], fit.params)[0], rel=1e-9)
    for step in (1, 49, 50, 51, 200, 399, 400):
        ends = []
        for sign in (1, -1):
            moved = schedule.values.copy()
            moved[step] += sign * 1e-8
            ends.append(target(moved)[0])
        assert slope[step] == pytest.approx((ends[0] - ends[1]) / 2e-8, rel=1e-4), step


def test_the_best_schedule_of_the_published_law_looks_like_wsd_and_beats_it(fit):
    published = iso.fit(LAW, fit.curves, fix=dict(LAW.published["luo2025_100m"].params))
    best = published.optimize_schedule(steps=24_000, peak=PEAK, warmup=2_160)
    assert all(best.loss < loss for loss in best.rivals.values())
    assert best.gap < 1e-5
    values = best.schedule.values[2_160:]
    assert (np.diff(values) <= 1e-18).all()
    assert (values[: len(values) // 3] > 0.95 * PEAK).all()  # stable for long, then a decay
    assert values[-1] < 0.2 * PEAK


CODE = """
import isoloss as iso
table = iso.simulate.curves(["cosine", "wsd"], law="multi_power", source="luo2025_100m", steps=4_000, every=200)
fit = iso.fit("multi_power", iso.read_curves(table), fix={"beta": 0.6, "gamma": 0.65}, n_threads=THREADS)
print([value.hex() for value in fit.params.values()])
"""


def test_results_depend_neither_on_threads_nor_on_the_instruction_set():
    told = set()
    for level, threads in (("baseline", 1), ("avx2", 2), ("avx512", 1)):
        code = CODE.replace("THREADS", str(threads))
        env = {**os.environ, "ISOLOSS_SIMD": level}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
        if done.returncode and level != "baseline" and "ISOLOSS_SIMD" in done.stderr:
            continue  # this machine does not have it
        assert not done.returncode, done.stderr
        told.add(done.stdout)
    assert len(told) == 1


def test_draws_and_files_work_as_for_any_fit(fit, tmp_path):
    draws = fit.bootstrap(20, starts=1, seed=3)
    np.testing.assert_array_equal(draws.params, fit.bootstrap(20, starts=1, seed=3, n_threads=1).params)
    fit.save(tmp_path / "fit.json", draws=draws)
    again = iso.load(tmp_path / "fit.json")
    assert again.params == fit.params
    wsd = S.wsd(steps=8_000, peak=PEAK, warmup=500)
    np.testing.assert_array_equal(again.predict(wsd).band(0.9).low, fit.predict(wsd).band(0.9, draws=draws).low)
    assert again.rerun().params == fit.params
