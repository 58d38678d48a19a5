"""Schedules: values at chosen steps by hand, sums over steps against plain loops, refusals, storage."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import isoloss as iso
from isoloss.errors import DataError, IsolossError, OptionError
from isoloss.schedules import Schedule

S = iso.schedules
ALL = {
    "constant": S.constant(steps=1000, peak=3e-4, warmup=100),
    "linear": S.linear(steps=1000, peak=3e-4, to=0.1, warmup=100),
    "cosine": S.cosine(steps=1000, peak=3e-4, warmup=100),
    **{
        f"wsd-{shape}": S.wsd(steps=1000, peak=3e-4, decay=0.3, shape=shape, warmup=100)
        for shape in ("exponential", "linear", "sqrt", "cosine")
    },
    "inverse_sqrt": S.inverse_sqrt(steps=1000, peak=3e-4, warmup=100),
    "power": S.power(steps=1000, peak=0.02, a=4.0, batch=256, seq_len=4096, warmup=100),
    "multi_step": S.multi_step(steps=1000, peak=3e-4, at=[0.8, 0.9], to=[0.316, 0.1], warmup=100),
    "from_array": S.from_array(np.linspace(1e-3, 1e-4, 1000)),
    "from_points": S.from_points([100, 500, 1000], [1e-3, 5e-4, 1e-4], warmup=100),
}


@pytest.mark.parametrize("name", ALL)
def test_every_schedule_rises_in_a_straight_line_and_then_keeps_to_its_peak(name):
    schedule = ALL[name]
    assert schedule.steps == len(schedule) == len(schedule.values) - 1 == 1000
    assert not schedule.values.flags.writeable
    assert schedule.warmup in (0, 100)
    if schedule.warmup:
        rise = schedule.values[:101]
        np.testing.assert_allclose(rise, rise[100] * np.arange(101) / 100, rtol=1e-12)
    assert (np.diff(schedule.values[schedule.warmup :]) <= 1e-18).all()


@pytest.mark.parametrize("name", ALL)
def test_every_schedule_comes_back_from_json_and_pickle(name):
    schedule = ALL[name]
    assert Schedule.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert hash(pickle.loads(pickle.dumps(schedule))) == hash(schedule)
    assert f"{schedule.steps}" in str(schedule)
    assert schedule.kind in repr(schedule)


def test_values_worked_out_by_hand():
    steps = [100, 550, 1000]
    expected = {
        "constant": [1, 1, 1],
        "linear": [1, 0.55, 0.1],
        "cosine": [1, 0.55, 0.1],
        "inverse_sqrt": [1, np.sqrt(100 / 550), np.sqrt(0.1)],
        "multi_step": [1, 1, 0.1],
        "wsd-linear": [1, 1, 0.1],
    }
    for name, levels in expected.items():
        np.testing.assert_allclose(ALL[name].at(steps), 3e-4 * np.array(levels), rtol=1e-12, err_msg=name)
    # Halfway down the cooldown of a tenth: sqrt(0.1), 0.55, 1 - 0.9 sqrt(1/2), 0.55.
    for shape, level in (("exponential", 0.1**0.5), ("linear", 0.55), ("sqrt", 1 - 0.9 * 0.5**0.5), ("cosine", 0.55)):
        assert ALL[f"wsd-{shape}"].at(850) == pytest.approx(3e-4 * level, rel=1e-12)


def test_the_power_scheduler_leaves_its_cap_where_the_formula_says():
    # min(lr_max, batch a n^b) leaves the cap at n0 = (lr_max / (batch a))^(1/b).
    tokens = (0.02 / (256 * 4.0)) ** (1 / -0.51)
    step = tokens / (256 * 4096)
    schedule = S.power(steps=10_000, peak=0.02, a=4.0, batch=256, seq_len=4096, decay=0)
    before, after = schedule.at([int(step), int(step) + 2])
    assert before == 0.02
    assert after < 0.02
    assert schedule.final == pytest.approx(256 * 4.0 * (10_000 * 256 * 4096) ** -0.51, rel=1e-12)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("lam", [0.0, 0.9, 0.999])
def test_areas_are_those_of_the_plain_loops(name, lam):
    schedule = ALL[name]
    area = smoothed = momentum = 0.0
    for step in range(1, schedule.steps + 1):
        drop = schedule.values[step - 1] - schedule.values[step] if step > schedule.warmup else 0.0
        area += schedule.values[step]
        momentum = lam * momentum + drop
        smoothed += momentum
        if step in (1, 99, 100, 101, 500, 1000):
            assert schedule.S1[step] == pytest.approx(area, rel=1e-12)
            assert schedule.S2(lam)[step] == pytest.approx(smoothed, rel=1e-10, abs=1e-18)


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=50), st.floats(0.0, 0.9999))
def test_the_momentum_area_is_the_double_sum_of_the_paper(lr, lam):
    schedule = S.from_array(lr)
    last = len(lr)
    drops = schedule.drops
    double = sum(drops[k] * lam ** (i - k) for i in range(1, last + 1) for k in range(1, i + 1))
    assert schedule.S2(lam)[last] == pytest.approx(double, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: S.constant(steps=0, peak=1.0), "steps"),
        (lambda: S.constant(steps=10.5, peak=1.0), "steps"),
        (lambda: S.constant(steps=10, peak=0.0), "peak"),
        (lambda: S.constant(steps=10, peak=float("nan")), "peak"),
        (lambda: S.constant(steps=10, peak=1.0, warmup=10), "warmup"),
        (lambda: S.constant(steps=10, peak=1.0, warmup=-1), "warmup"),
        (lambda: S.linear(steps=10, peak=1.0, to=1.5), "to"),
        (lambda: S.wsd(steps=10, peak=1.0, decay=11), "decay"),
        (lambda: S.wsd(steps=10, peak=1.0, decay=2.5), "decay"),
        (lambda: S.wsd(steps=10, peak=1.0, decay=0.9, warmup=5), "decay"),
        (lambda: S.wsd(steps=10, peak=1.0, decay_to=0.0), "decay_to"),
        (lambda: S.wsd(steps=10, peak=1.0, shape="step"), "shape"),
        (lambda: S.inverse_sqrt(steps=10, peak=1.0, warmup=0), "warmup"),
        (lambda: S.power(steps=10, peak=1.0, a=-1.0, batch=1, seq_len=1), "a"),
        (lambda: S.multi_step(steps=10, peak=1.0, at=[5], to=[]), "to"),
        (lambda: S.multi_step(steps=10, peak=1.0, at=[6, 5], to=[0.5, 0.1]), "at"),
        (lambda: S.from_points([1, 2], [1.0, 0.5], steps=0), "steps"),
        (lambda: ALL["cosine"].S2(1.0), "lam"),
        (lambda: ALL["cosine"].at(1001), "step"),
        (lambda: ALL["cosine"].at(0.5), "step"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(make, argument):
    with pytest.raises(OptionError, match=argument) as caught:
        make()
    assert caught.value.details["argument"] == argument


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ([], "data-shape", "one value for each step"),
        ([[1.0]], "data-shape", "one value for each step"),
        ([1.0, -1.0], "data-nonpositive", "step 2: .*-1.0.* below zero"),
        ([1.0, np.nan], "data-nonfinite", "step 2: .*nan.* not a finite"),
        ([0.0, 0.0], "data-nonpositive", "zero at every step"),
    ],
)
def test_arrays_that_are_no_schedules_are_refused_by_step(values, code, words):
    with pytest.raises(DataError, match=words) as caught:
        S.from_array(values)
    assert caught.value.code == code


def test_a_stored_schedule_that_was_altered_is_refused():
    for stored in ({}, {"kind": "zigzag", "values": None, "arguments": {}, "warmup": 0}):
        with pytest.raises(IsolossError) as caught:
            Schedule.from_dict(stored)
        assert caught.value.code == "file-schema"


def test_points_between_logged_steps_lie_on_straight_lines_or_steps():
    lines = S.from_points([2, 4, 8], [1.0, 0.5, 0.1], warmup=2)
    np.testing.assert_allclose(lines.values, [0, 0.5, 1, 0.75, 0.5, 0.4, 0.3, 0.2, 0.1])
    steps = S.from_points([2, 4, 8], [1.0, 0.5, 0.1], steps=10, jumps=True)
    np.testing.assert_allclose(steps.values, [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1])
    with pytest.raises(DataError, match="rise from 0"):
        S.from_points([4, 2], [1.0, 0.5])


def test_a_figure_of_a_schedule_shows_its_values():
    axes = ALL["wsd-exponential"].plot(label="mine")
    line = axes.get_lines()[0]
    assert line.get_label() == "mine"
    at = {int(x): y for x, y in zip(*line.get_data(), strict=True)}
    assert at[1000] == ALL["wsd-exponential"].final
