"""What a search refuses, and in which words."""

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import DataError, LawError, OptionError, OutOfMemoryError

LAW = iso.law("E + A / N**alpha + B / D**beta + c * (log(lr) - p * log(N))**2", vars=["N", "D", "lr"])
BOUND = LAW.bind(E=1.69, A=406.4, alpha=0.34, B=410.7, beta=0.28, c=0.02, p=-0.5)
SUMMED = iso.law("E + sum_over(s, s.w * N) / D", vars=["N", "D"], tables={"s": {"w": [1.0, 2.0]}}).bind(E=1.0)
AXES = {"N": iso.geomspace("100M", "1T", 5), "D": iso.geomspace("1B", "10T", 4), "lr": iso.geomspace(1e-4, 1e-2, 90)}


@pytest.mark.parametrize(
    ("target", "axes", "options", "kind", "code", "words"),
    [
        (BOUND, {}, {}, OptionError, "option", "at least one"),
        (BOUND, {"N": 1e9}, {}, LawError, "law-missing-name", "needs 'D'"),
        (LAW, AXES, {}, LawError, "law-missing-name", "bind or fit"),
        ([3], AXES, {}, OptionError, "option", "is a list"),
        ({}, AXES, {}, OptionError, "option", "nothing to search"),
        ({"N": "D"}, AXES, {}, OptionError, "option", "of a target and of an axis"),
        ({"a b": "D"}, AXES, {}, OptionError, "option", "no name"),
        (SUMMED, AXES, {}, OptionError, "option", "sums over a table"),
        ({"a": "b", "b": "a"}, AXES, {}, LawError, "law-missing-name", "circle"),
        (BOUND, AXES, {"minimize": "los"}, LawError, "law-unknown-name", "did you mean 'loss'"),
        (BOUND, AXES, {"where": "N < M"}, LawError, "law-unknown-name", "where names 'M'"),
        (BOUND, AXES, {"where": "N <"}, LawError, "law-syntax", "position"),
        (BOUND, AXES, {"where": ["N < 1e9", "D >"]}, LawError, "law-syntax", "position"),
        (BOUND, AXES, {"by": "M"}, OptionError, "option", "no axis"),
        (BOUND, AXES, {"by": ["N", "N"]}, OptionError, "option", "twice"),
        (BOUND, AXES, {"within": -0.1}, OptionError, "option", "within=-0.1"),
        (BOUND, AXES, {"within": "much"}, OptionError, "option", "within='much'"),
        (BOUND, AXES, {"top": 0}, OptionError, "option", "top=0"),
        (BOUND, AXES, {"method": "fast"}, OptionError, "option", "method='fast'"),
        ("a", {name: [1.0, 2.0] for name in "abcdefg"}, {"refine": True}, OptionError, "option", "at most 6 axes"),
        (BOUND, {**AXES, "lr": []}, {}, DataError, "data-empty", "axis 'lr'"),
        (BOUND, {**AXES, "lr": [1e-3, np.nan]}, {}, DataError, "data-nonfinite", "row 1"),
        (BOUND, {**AXES, "lr": np.ones((2, 2))}, {}, DataError, "data-shape", "2 dimensions"),
        (BOUND, {**AXES, "t": {"x": [1.0], "y": [1.0, 2.0]}}, {}, DataError, "data-shape", "differ in length"),
        (BOUND, {**AXES, "t": {"N": [1.0]}}, {}, OptionError, "option", "both have a column 'N'"),
        (BOUND, {**AXES, "odd name": [1.0]}, {}, OptionError, "option", "'odd name'"),
        ("x", {"x": np.arange(1e6), "y": np.arange(1e6), "z": np.arange(1e6)}, {}, OptionError, "option", "2^53"),
    ],
)
def test_wrong_input_is_refused_by_name(target, axes, options, kind, code, words):
    with pytest.raises(kind) as caught:
        iso.search(target, axes, **options)
    assert caught.value.code == code
    assert words in str(caught.value)


@pytest.mark.parametrize("ends", [("0", 1, 3), (1, -1, 3), (1, 2, 0), (1, 2, 2.5), (1, float("inf"), 3)])
def test_ranges_are_checked(ends):
    with pytest.raises(OptionError):
        iso.geomspace(*ends)


WIDE = {name: np.arange(1.0, 20_001.0) for name in "abc"}


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("a + b + c", {"by": ["a", "b", "c"]}, ["8,000,000,000,000 groups (a x b x c)", "fewer axes in by="]),
        ("a + b + c", {"by": ["a", "b"], "top": 100_000}, ["100,000 least cells each", "a smaller top="]),
        ("a + b + c", {"by": ["b", "a"], "within": 0.1, "refine": True}, ["400,000,000 groups", "leave out refine="]),
        ("drawn", {"by": "a", "within": 0.1}, ["the shares of draws of 8,000,000,000,000 cells", "leave out within="]),
        ("drawn", {"by": ["a", "b"]}, ["under 20 draws", "fewer draws"]),
    ],
)
def test_more_than_memory_holds_is_refused_before_it_begins(target, options, words, monkeypatch):
    monkeypatch.setattr("isoloss.engine.memory._of_machine", lambda: 40e9)
    if target == "drawn":
        rng = np.random.default_rng(0)
        a = rng.uniform(1.0, 2.0, 30)
        runs = {"a": a, "loss": 2.0 / a + 1.0 + rng.normal(0.0, 0.01, 30)}
        target = {"v": iso.fit(iso.law("p + q / a", vars=["a"]), runs).bootstrap(20), "w": "v + b + c"}
    with pytest.raises(OutOfMemoryError) as caught:
        iso.search(target, WIDE, **options)
    assert caught.value.code == "out-of-memory"
    for part in words:
        assert part in str(caught.value)
