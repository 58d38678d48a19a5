"""The points that stand for sums over tens of thousands of steps, against those sums step by step."""

import numpy as np
import pytest

import isoloss as iso
from isoloss.curves.step_sums import drop_points, floored

S = iso.schedules
SCHEDULES = {
    "cosine": S.cosine(steps=24_000, peak=3e-4, warmup=2160),
    "long cosine": S.cosine(steps=72_000, peak=3e-4, warmup=2160),
    "constant": S.constant(steps=24_000, peak=3e-4, warmup=2160),
    "wsd": S.wsd(steps=24_000, peak=3e-4, decay=4000, warmup=2160),
    "wsd to zero": S.wsd(steps=24_000, peak=3e-4, decay_to=0.0, shape="sqrt", warmup=2160),
    "linear to zero": S.linear(steps=24_000, peak=3e-4, warmup=2160),
    "one jump": S.multi_step(steps=16_000, peak=3e-4, at=[8000], to=[0.3], warmup=2160),
    "eight jumps": S.multi_step(
        steps=24_000, peak=3e-4, at=[0.1 * k for k in range(2, 10)], to=[0.8**k for k in range(1, 9)], warmup=2160
    ),
    "inverse square root": S.inverse_sqrt(steps=24_000, peak=3e-4, warmup=2160),
    "rising and falling": S.from_array(3e-4 * (0.55 + 0.45 * np.cos(np.arange(1, 30_001) / 1500))),
    "no warm-up": S.cosine(steps=24_000, peak=3e-4, to=0.01),
    "single precision": S.from_array(
        S.cosine(steps=24_000, peak=3e-4, warmup=2160).values[1:].astype(np.float32), warmup=2160
    ),
}
# L0, A, alpha, B, C, beta, gamma of the Multi-Power Law: as released for 25 and 400 million parameters
# (arXiv:2503.12811, repository), and further out.
PARAMETERS = [
    (3.04045, 0.524686, 0.507869, 363.788, 2.06561, 0.582790, 0.641423),
    (2.37474, 0.654212, 0.428788, 523.425, 2.02463, 0.593505, 0.634725),
    (2.65145, 0.601152, 0.452958, 437.946, 20.0, 0.597852, 0.655236),
    (2.65145, 0.601152, 0.452958, 437.946, 2.13246, 0.2, 0.2),
    (2.65145, 0.601152, 0.452958, 437.946, 2.13246, 0.4, 1.0),
]


def loss(params, area, term, rows, n):
    L0, A, alpha, B, *_ = params
    return L0 + A * area**-alpha - B * np.bincount(rows, term, n)


def term(params, drop, lr, behind):
    *_, C, beta, gamma = params
    return drop * (1.0 - (1.0 + C * lr**-gamma * behind) ** -beta)


def exact(schedule, steps, params):
    """The sum over every step, as the paper writes it."""
    lr = floored(schedule)
    area = np.cumsum(lr) - lr[0]
    out = []
    for t in steps:
        k = np.arange(1, t + 1)
        terms = term(params, lr[k - 1] - lr[k], lr[k], area[t] - area[k - 1])
        out.append(loss(params, area[t], terms, np.zeros(len(k), dtype=int), 1)[0])
    return np.array(out)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_loss_is_that_of_the_sum_over_every_step(name):
    schedule = SCHEDULES[name]
    first, last = schedule.warmup + 100, schedule.steps
    random = np.random.default_rng(0).integers(first, last, 12)
    steps = np.concatenate([[first, last, last - 1, last - 10, last - 100, first], random])  # in any order
    points = drop_points(schedule, steps)
    lr = floored(schedule)
    area = (np.cumsum(lr) - lr[0])[steps]
    rows = np.repeat(np.arange(len(steps)), np.diff(points.offsets))
    for params in PARAMETERS:
        terms = term(params, points.drop, points.lr, area[rows] - points.S)
        np.testing.assert_allclose(
            loss(params, area, terms, rows, len(steps)), exact(schedule, steps, params), rtol=1e-6
        )


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_hundred_points_or_so_are_enough(name):
    schedule = SCHEDULES[name]
    points = drop_points(schedule, np.arange(schedule.warmup + 128, schedule.steps + 1, 128))
    assert np.diff(points.offsets).max() <= 100
    assert np.diff(points.offsets).mean() < 70


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_drops_add_up_to_the_whole_fall(name):
    schedule = SCHEDULES[name]
    steps = np.array([1, 2, 3, 7, 100, schedule.steps // 2, schedule.steps])
    points = drop_points(schedule, steps)
    rows = np.repeat(np.arange(len(steps)), np.diff(points.offsets))
    fallen = np.bincount(rows, points.drop, len(steps))
    lr = floored(schedule)
    np.testing.assert_allclose(fallen, lr[0] - lr[steps], atol=1e-9 * schedule.peak)
    assert ((np.cumsum(lr) - lr[0])[steps][rows] + 1e-15 >= points.S).all()
    assert (points.lr > 0.0).all()


def test_a_schedule_without_a_drop_has_no_points():
    points = drop_points(S.constant(steps=100, peak=1.0), np.array([1, 50, 100]))
    assert points.offsets.tolist() == [0, 0, 0, 0]
    assert len(points.drop) == 0
