"""The search against NumPy, which writes out every cell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import isoloss as iso
from isoloss import _core

LAW = iso.law(
    "E + A / N**alpha + B / D**beta + c1 * (log(lr) - (p0 + p1 * log(N) + p2 * log(D)))**2"
    " + c2 * (log(batch) - (q0 + q1 * log(D)))**2",
    vars=["N", "D", "lr", "batch"],
)
BOUND = LAW.bind(
    E=1.69, A=406.4, alpha=0.34, B=410.7, beta=0.28, c1=0.02, c2=0.01, p0=-0.5, p1=-0.4, p2=0.1, q0=-2.0, q1=0.57
)
AXES = {
    "N": iso.geomspace("100M", "1T", 5),
    "D": iso.geomspace("1B", "10T", 4),
    "lr": iso.geomspace(1e-4, 1e-2, 90),
    "batch": iso.geomspace(1e4, 1e7, 70),
}


def grid(axes):
    """The columns of all cells, each of the grid's shape."""
    names = list(axes)
    return dict(zip(names, np.meshgrid(*axes.values(), indexing="ij"), strict=True))


def brute(values, mask, axes, by, within=None):
    """best, cell, count and feasible by group, from all cells written out."""
    names = list(axes)
    order = [names.index(name) for name in by] + [k for k, name in enumerate(names) if name not in by]
    shape = tuple(len(axes[name]) for name in by)
    counted = np.where(mask & np.isfinite(values), values, np.inf).transpose(order).reshape(*shape, -1)
    feasible = np.isfinite(counted).sum(axis=-1)
    best = np.where(feasible > 0, counted.min(axis=-1), np.nan)
    cell = np.where(feasible > 0, counted.argmin(axis=-1), -1)
    count = feasible
    if within is not None:
        with np.errstate(invalid="ignore"):
            count = ((counted <= (best + within * np.abs(best))[..., None]) & np.isfinite(counted)).sum(axis=-1)
    return best, cell, count, feasible


def same(found, expected):
    best, cell, count, feasible = expected
    assert np.array_equal(found.best, best, equal_nan=True)
    assert np.array_equal(found.cell, cell)
    assert np.array_equal(found.count, count)
    assert np.array_equal(found.feasible, feasible)


@pytest.mark.parametrize("method", ["auto", "visit"])
@pytest.mark.parametrize("by", [(), ("N",), ("D", "N"), ("lr",), ("batch", "N"), ("N", "D", "lr", "batch")])
@pytest.mark.parametrize("where", [None, "6*N*D <= 1e22", "lr * batch <= 300", "batch > 2e5 and lr < 3e-3 or N < 1e9"])
def test_a_search_is_what_numpy_finds_in_all_cells(by, where, method):
    at = grid(AXES)
    values = BOUND(**at)
    conditions = {
        None: np.ones_like(values, dtype=bool),
        "6*N*D <= 1e22": 6 * at["N"] * at["D"] <= 1e22,
        "lr * batch <= 300": at["lr"] * at["batch"] <= 300,
        "batch > 2e5 and lr < 3e-3 or N < 1e9": (at["batch"] > 2e5) & (at["lr"] < 3e-3) | (at["N"] < 1e9),
    }
    found = iso.search(BOUND, AXES, where=where, by=by, within=0.001, method=method)
    same(found, brute(values, conditions[where], AXES, by, 0.001))


def test_the_best_is_the_law_at_the_best_cell_to_the_bit():
    found = iso.search(BOUND, AXES, by=["N", "D"], within="0.1%", top=3)
    assert np.array_equal(BOUND(**found.argbest), found.best)
    assert np.array_equal(BOUND(**found.top.at), found.top.value)
    assert np.array_equal(found.top.value[..., 0], found.best)


# Random expressions ---------------------------------------------------------------------------------------------

TERMS = ["a", "b", "c", "(a - b)", "abs(a - 2)", "b * c", "log(a)", "sqrt(c - 1)", "a / (b - 1)", "min(a, c)", "1.5"]
OPERATORS = [" + ", " - ", " * ", " / "]


@st.composite
def expressions(draw):
    text = draw(st.sampled_from(TERMS))
    for _ in range(draw(st.integers(0, 4))):
        operator, term = draw(st.sampled_from(OPERATORS)), draw(st.sampled_from(TERMS))
        text = f"({text}){operator}{term}" if draw(st.booleans()) else f"{term}{operator}({text})"
    return f"sqrt({text})" if draw(st.integers(0, 5)) == 0 else text


NUMPY = {"log": np.log, "sqrt": np.sqrt, "abs": np.abs, "min": np.minimum}


@settings(max_examples=150)
@given(
    text=expressions(),
    condition=st.none() | expressions().map(lambda text: f"{text} <= 2") | st.sampled_from(["a < b", "c % 2 == 0"]),
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 70), st.integers(1, 90)),
    by=st.sampled_from([(), ("a",), ("b",), ("c", "a"), ("a", "b", "c")]),
    within=st.none() | st.sampled_from([0.0, 0.01, 0.5]),
    method=st.sampled_from(["auto", "visit"]),
    seed=st.integers(0, 1000),
)
def test_random_searches_are_what_numpy_finds(text, condition, sizes, by, within, method, seed):
    rng = np.random.default_rng(seed)
    # Few distinct values, so that ties are common, and some where logarithms, roots and quotients have no value.
    axes = {name: rng.integers(-1, 5, size).astype(float) for name, size in zip("abc", sizes, strict=True)}
    at = grid(axes)
    columns = [np.ascontiguousarray(at[name].ravel()) for name in "abc"]

    def everywhere(text):
        expression = _core.Expression(text, variables=["a", "b", "c"])
        used = [columns["abc".index(name)] for name in expression.variables] or [columns[0]]
        if not expression.variables:
            return np.full(at["a"].shape, expression.evaluate([], np.empty((1, 0)))[0][0])
        return expression.evaluate(used, np.empty((1, 0)))[0].reshape(at["a"].shape)

    values = everywhere(text)
    mask = np.ones(values.shape, dtype=bool) if condition is None else everywhere(condition) != 0.0
    found = iso.search(text, axes, where=condition, by=by, within=within, method=method, top=4)
    same(found, brute(values, mask, axes, by, within))
    names = list(axes)
    order = [names.index(name) for name in by] + [k for k, name in enumerate(names) if name not in by]
    shape = tuple(len(axes[name]) for name in by)
    flat = np.where(mask & np.isfinite(values), values, np.inf).transpose(order).reshape(*shape, -1)
    ranks = np.argsort(flat, axis=-1, kind="stable")[..., :4]
    least = np.take_along_axis(flat, ranks, axis=-1)
    k = ranks.shape[-1]
    assert np.array_equal(found.top.value[..., :k], np.where(np.isfinite(least), least, np.nan), equal_nan=True)
    assert np.array_equal(found.top.cell[..., :k], np.where(np.isfinite(least), ranks, -1))


def test_the_engine_means_by_an_operator_what_numpy_means():
    axes = {"a": np.arange(-6.0, 7.0), "b": np.array([-3.0, -1.5, 2.0, 5.0])}
    at = grid(axes)
    for text, mask in {
        "a % b == 0": at["a"] % at["b"] == 0,
        "a // b >= 1": at["a"] // at["b"] >= 1,
        "not a < b": ~(at["a"] < at["b"]),
        "-2 < a <= b": (at["a"] > -2) & (at["a"] <= at["b"]),
        "floor(a / 2) == ceil(b)": np.floor(at["a"] / 2) == np.ceil(at["b"]),
        "a < 0 or b < 0 and a > 3": (at["a"] < 0) | (at["b"] < 0) & (at["a"] > 3),
    }.items():
        assert iso.search("a", axes, where=text).feasible == mask.sum(), text


@settings(max_examples=400)
@given(
    a=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**18), 10**18).map(float),
    b=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6).map(float),
)
def test_remainders_and_whole_quotients_are_those_of_python(a, b):
    if b == 0.0:
        return
    columns = [np.full(70, a), np.full(70, b)]  # a block of vector code and a rest
    for text, value in (("a % b", a % b), ("a // b", a // b)):
        got = _core.Expression(text, variables=["a", "b"]).evaluate(columns, np.empty((1, 0)))[0]
        if text == "a // b" and not (np.isfinite(value) and abs(a / b) < 1e300):
            continue
        assert np.all(got == value), (text, a, b, got[0], value)


# Plateaus -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_plateaus_are_those_of_numpy_and_their_parts_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    axes = {"x": np.arange(1.0, 9.0), "y": np.arange(1.0, 31.0), "z": np.arange(1.0, 101.0)}
    at = grid(axes)
    f, g = rng.uniform(0.5, 2.0, 2)
    text = f"2 + abs((x * {f} + y) % 5 - 2) + abs((z * {g} + x) % 7 - 3)"
    values = 2 + np.abs((at["x"] * f + at["y"]) % 5 - 2) + np.abs((at["z"] * g + at["x"]) % 7 - 3)
    for by in ((), ("x",)):
        found = iso.search(text, axes, by=by, within=0.6).plateau
        for k in range(len(axes["x"]) if by else 1):
            part = values[k] if by else values
            near = part <= part.min() * 1.6
            pick = (lambda array, k=k: array[k]) if by else (lambda array: array)
            assert pick(found.count) == near.sum()
            assert pick(found.parts) == ndimage.label(near)[1]
            names = [name for name in axes if name not in by]
            for axis, name in enumerate(names):
                reach = np.flatnonzero(near.any(axis=tuple(j for j in range(near.ndim) if j != axis)))
                assert pick(found.low[name]) == axes[name][reach[0]]
                assert pick(found.high[name]) == axes[name][reach[-1]]


def test_a_plateau_along_a_budget_is_one_part():
    steps = 60
    axes = {"N": iso.geomspace(1e8, 1e12, steps + 1), "D": iso.geomspace(1e10, 1e14, steps + 1)}
    text = "1.8 + 480 / N**0.35 + 2000 / D**0.37"
    found = iso.search(text, axes, where="6 * N * D <= 1.0001e24", within=2e-3)
    at = grid(axes)
    loss = np.where(6 * at["N"] * at["D"] <= 1.0001e24, 1.8 + 480 / at["N"] ** 0.35 + 2000 / at["D"] ** 0.37, np.inf)
    near = loss <= loss.min() * 1.002
    assert found.plateau.count == near.sum()
    assert found.plateau.parts == ndimage.label(near, ndimage.generate_binary_structure(2, 2))[1] == 1
    assert ndimage.label(near)[1] > 3  # through faces alone it would fall apart


def test_parts_under_a_condition_in_three_axes_are_those_of_scipy():
    axes = {"x": np.arange(1.0, 9.0), "y": np.arange(1.0, 12.0), "z": np.arange(1.0, 31.0)}
    at = grid(axes)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        f, g, h = rng.uniform(0.5, 2.0, 3)
        text = f"2 + abs((x * {f} + y) % 5 - 2) + abs((z * {g} + x) % 7 - 3)"
        values = 2 + np.abs((at["x"] * f + at["y"]) % 5 - 2) + np.abs((at["z"] * g + at["x"]) % 7 - 3)
        holds = (at["x"] + h * at["y"] + at["z"]) % 3 < 2
        found = iso.search(text, axes, where=f"(x + {h} * y + z) % 3 < 2", within=0.4).plateau
        near = holds & (values <= values[holds].min() * 1.4)
        assert found.count == near.sum()
        assert found.parts == ndimage.label(near, ndimage.generate_binary_structure(3, 2))[1]


def test_a_ridge_runs_along_the_valley():
    axes = {"lr": iso.geomspace(1e-4, 1e-2, 201), "batch": iso.geomspace(1e4, 1e7, 251)}
    # A valley along lr ~ batch^0.5, twice as steep across as it is along.
    text = "2 + 0.02 * (log(lr) - 0.5 * log(batch) + 13)**2 + 0.001 * (0.5 * log(lr) + log(batch) - 10)**2"
    found = iso.search(text, axes, within=0.005).plateau
    at = grid(axes)
    value = (
        2
        + 0.02 * (np.log(at["lr"]) - 0.5 * np.log(at["batch"]) + 13) ** 2
        + 0.001 * (0.5 * np.log(at["lr"]) + np.log(at["batch"]) - 10) ** 2
    )
    near = value <= value.min() * 1.005
    points = np.log2(np.stack([at["lr"][near], at["batch"][near]]))
    cov = np.cov(points, bias=True)
    values, vectors = np.linalg.eigh(cov)
    ridge = np.array([found.ridge["lr"], found.ridge["batch"]])
    assert abs(ridge @ vectors[:, -1]) == pytest.approx(1.0, abs=1e-9)
    assert ridge[np.abs(ridge).argmax()] > 0
    assert np.allclose(found.spread, np.sqrt(values[::-1]), rtol=1e-9)
    step = np.prod([np.log2(axis[1] / axis[0]) for axis in axes.values()])
    inside = near[1:-1, 1:-1].sum() == near.sum()
    assert inside, "else the cells at the ends would not all be alike"
    assert found.volume == pytest.approx(near.sum() * step, rel=1e-9)
    center = 2 ** points.mean(axis=1)
    assert found.center["lr"] == pytest.approx(center[0], rel=1e-9)
    assert found.center["batch"] == pytest.approx(center[1], rel=1e-9)


def test_the_volume_of_uneven_axes_is_that_of_the_space_between_neighbours():
    x = np.array([0.0, 1.0, 3.0, 7.0])
    found = iso.search("x * 0 + 1", {"x": x}, within=0.0).plateau
    assert found.volume == 1.0 + 1.5 + 3.0 + 4.0


def test_tables_move_together_and_have_no_neighbours():
    kinds = {"chip": ["slow", "fast", "huge"], "speed": [1.0, 3.0, 9.0], "price": [1.0, 2.0, 40.0]}
    axes = {"kind": kinds, "hours": np.arange(1.0, 6.0)}
    found = iso.search({"cost": "price * hours"}, axes, where="speed * hours >= 6", within=1.0)
    assert found.argbest == {"chip": "fast", "speed": 3.0, "price": 2.0, "hours": 2.0}
    assert found.best == 4.0
    # 3 and 2 hours of the fast one; no hours of the slow one but 5 fit under speed * hours >= 6.
    assert found.count == 3
    assert found.plateau.parts == 1
    both = iso.search("price * 0 + hours", axes, within=1.0)
    assert both.plateau.parts == 3
    assert "speed" not in both.plateau.ridge


def test_groups_may_be_tables():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"name": ["a", "b"], "k": [2.0, -1.0]})
    found = iso.search("k * x", {"x": [1.0, 2.0, 3.0], "kind": table}, by="kind", top=2)
    assert found.best.tolist() == [2.0, -3.0]
    assert found.argbest["name"].tolist() == ["a", "b"]
    assert found.argbest["x"].tolist() == [1.0, 3.0]
    assert found.top.at["x"].tolist() == [[1.0, 2.0], [3.0, 2.0]]
    assert found.to_frame("pandas")["name"].tolist() == ["a", "b"]


# Cells that do not count ----------------------------------------------------------------------------------------


def test_an_empty_set_is_a_result_and_a_notice():
    found = iso.search(BOUND, AXES, where="N > 1e13", within=0.01)
    assert np.isnan(found.best)
    assert (found.cell, found.count, found.feasible) == (-1, 0, 0)
    assert np.isnan(found.argbest["lr"])
    assert [(n.code, n.severity) for n in found.warnings] == [("search-empty", "serious")]
    assert "no cell counts" in str(found)
    some = iso.search(BOUND, AXES, where="N > 1e9", by="N")
    assert some.feasible.tolist() == [0, 0] + [4 * 90 * 70] * 3 or (some.feasible == 0).sum() == 2
    assert [n.severity for n in some.warnings if n.code == "search-empty"] == ["warning"]
    never = iso.search(BOUND, AXES, where="1 > 2")
    assert never.feasible == 0


def test_cells_without_a_finite_value_do_not_count_and_are_told():
    axes = {"x": np.array([-2.0, -1.0, 0.0, 1.0, 4.0]), "y": np.array([0.0, 1.0, 2.0])}
    found = iso.search("log(x) + 1 / y", axes)
    # log is NaN below zero and minus infinity at it; 1 / 0 is infinite.
    assert (found.feasible, found.nonfinite) == (4, 11)
    assert found.best == 0.5
    assert "search-nonfinite" in [n.code for n in found.warnings]
    masked = iso.search("log(x) + 1 / y", axes, where="x > 0 and y > 0")
    assert (masked.feasible, masked.nonfinite) == (4, 0)
    assert masked.warnings == () or {n.code for n in masked.warnings} == {"search-edge"}


def test_ties_go_to_the_first_cell_in_the_order_of_the_axes():
    axes = {"x": np.array([3.0, 1.0, 1.0, 2.0]), "y": np.array([5.0, 4.0, 4.0])}
    for text in ("x + y", "x * 0 + y * 0", "max(x, y)"):
        found = iso.search(text, axes, top=4)
        at = grid(axes)
        values = {"x + y": at["x"] + at["y"], "x * 0 + y * 0": 0 * at["x"], "max(x, y)": np.maximum(at["x"], at["y"])}
        assert found.cell == values[text].argmin()
        assert found.top.cell.tolist() == np.argsort(values[text].ravel(), kind="stable")[:4].tolist()


def test_overflow_within_a_sum_does_not_count():
    axes = {"x": np.geomspace(1e300, 1.7e308, 70), "y": np.geomspace(1e300, 1.7e308, 80)}
    found = iso.search("-(x + y)", axes)
    at = grid(axes)
    with np.errstate(over="ignore"):
        values = -(at["x"] + at["y"])
    same(found, brute(values, np.ones(values.shape, dtype=bool), axes, ()))
    assert found.nonfinite == np.isinf(values).sum() > 0


@pytest.mark.parametrize("where", [None, "y < 70", "x < 0 or y > 3"])
@pytest.mark.parametrize("method", ["auto", "visit"])
def test_a_sum_below_all_numbers_is_on_no_plateau(where, method):
    axes = {"x": np.r_[-1.7e308, np.arange(1.0, 70.0)], "y": np.r_[-1.7e308, np.arange(1.0, 80.0)]}
    at = grid(axes)
    with np.errstate(over="ignore"):
        values = at["x"] + at["y"]
    mask = {None: values < np.inf, "y < 70": at["y"] < 70, "x < 0 or y > 3": (at["x"] < 0) | (at["y"] > 3)}[where]
    found = iso.search("x + y", axes, where=where, within=0.5, method=method)
    same(found, brute(values, mask, axes, (), 0.5))
    assert found.nonfinite == 1


# Targets --------------------------------------------------------------------------------------------------------


def test_several_quantities_are_named_and_used_by_each_other():
    law = iso.laws.get("chinchilla").bind("besiroglu2024")
    axes = {"N": iso.geomspace("1B", "1T", 200), "D": iso.geomspace("10B", "100T", 300)}
    target = {"waste": "loss - 1.82", "loss": law, "tokens": "D / N", "cost": "C / 1e18"}
    found = iso.search(target, axes, minimize="cost", where=["loss <= 2", "tokens >= 20"])
    at = grid(axes)
    loss = law(**at)
    cost = 6 * at["N"] * at["D"] / 1e18
    same(found, brute(cost, (loss <= 2) & (at["D"] / at["N"] >= 20), axes, ()))
    assert found.minimize == "cost"
    first = iso.search(target, axes)
    assert first.minimize == "waste"
    assert first.best == pytest.approx((loss - 1.82).min(), rel=1e-12)


@pytest.mark.parametrize("known", [("N", "C"), ("D", "C")])
def test_compute_completes_size_and_tokens(known):
    law = iso.laws.get("chinchilla").bind("besiroglu2024")
    axes = {known[0]: iso.geomspace("1B", "1T", 400), "C": [1e22, 1e23, 1e24]}
    found = iso.search(law, axes, by="C")
    assert np.array_equal(law(**found.argbest), found.best)


def test_a_fit_is_searched_at_its_estimates():
    fit = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)))
    axes = {"N": iso.geomspace("1B", "1T", 50), "D": "1.4T"}
    found = iso.search(fit, axes)
    assert found.best == fit.predict(**found.argbest)


# Sizes, threads, interrupts -------------------------------------------------------------------------------------

BIG = """
import sys, json, hashlib
import numpy as np
import isoloss as iso
law = iso.law("E + A / N**alpha + c * (log(lr) - p * log(N))**2 + d * (log(batch) - q * log(N * lr))**2",
              vars=["N", "lr", "batch"])
bound = law.bind(E=1.7, A=400.0, alpha=0.34, c=0.02, p=-0.3, d=0.01, q=0.5)
axes = {"N": iso.geomspace(1e8, 1e11, 30), "lr": iso.geomspace(1e-4, 1e-2, 130), "batch": iso.geomspace(1e4, 1e7, 150)}
def bits(n_threads=None):
    made = []
    for by in ((), ("N",), ("lr",)):
        for method in ("auto", "visit"):
            for where in (None, "N * lr <= 1e8 and batch > 1e5"):
                found = iso.search(bound, axes, by=by, where=where, within=0.02, top=5, method=method,
                                   n_threads=n_threads)
                p = found.plateau
                arrays = [found.best, found.cell, found.count, found.top.value, found.top.cell, p.volume, p.spread,
                          p.parts, *p.low.values(), *p.high.values(), *p.ridge.values(), *p.center.values()]
                made.append(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))
    return [hashlib.sha256(part).hexdigest() for part in made]
"""
space = {}
exec(BIG, space)


@pytest.fixture(scope="module")
def reference():
    return space["bits"](1)


def test_the_bits_do_not_depend_on_threads(reference):
    assert space["bits"](2) == reference
    assert space["bits"](3) == reference


@pytest.mark.parametrize("level", _core.build_info()["simd_available"])
def test_the_bits_do_not_depend_on_the_instruction_set(level, reference):
    script = BIG + "\nprint(json.dumps(bits()))"
    told = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "ISOLOSS_SIMD": level},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(told.stdout) == reference


def test_the_visited_result_has_the_same_bits_as_the_separable_one(reference):
    # Pairs of (auto, visit) under the same groups; conditions stand second in each.
    for k in range(0, len(reference), 4):
        assert reference[k] == reference[k + 2]
        assert reference[k + 1] == reference[k + 3]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")
def test_the_grid_is_never_written_out():
    axes = {
        "N": iso.geomspace(1e8, 1e12, 40),
        "D": iso.geomspace(1e9, 1e13, 40),
        "lr": iso.geomspace(1e-4, 1e-2, 300),
        "batch": iso.geomspace(1e4, 1e7, 300),
    }
    script = """
import sys
def peak():
    # Not getrusage: its maximum is inherited from the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
sys.path.insert(0, {here!r})
import isoloss as iso
from test_search import BOUND
axes = {{name: iso.geomspace(*ends) for name, ends in {ends!r}.items()}}
iso.search(BOUND, {{**axes, "lr": axes["lr"][:3]}}, by=["N", "D"], within=0.001)
before = peak()
found = iso.search(BOUND, axes, by=["N", "D"], within=0.001)
assert found.cells == 144_000_000
print(peak() - before)
"""
    ends = {name: (float(v[0]), float(v[-1]), len(v)) for name, v in axes.items()}
    here = str(Path(__file__).parent)
    told = subprocess.run(
        [sys.executable, "-c", script.format(here=here, ends=ends)], capture_output=True, text=True, check=True
    )
    # 1.15 GB if it were; in units of 1 kB.
    assert int(told.stdout) < 50_000


INTERRUPT = """
import os, signal, sys, threading, time
import isoloss as iso
which, delay = sys.argv[1], float(sys.argv[2])
axes = {name: iso.geomspace(1.0, 10.0, 2000) for name in "abcd"}
text = {"visited": "tanh(a * b) * erf(c * d) + log(a + b + c + d)", "separable": "log(a * b) + c * d"}[which]
sent = []
def kick():
    time.sleep(delay)
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
thread = threading.Thread(target=kick)
try:
    thread.start()
    iso.search(text, axes, within=0.01)
except KeyboardInterrupt:
    print(time.perf_counter() - sent[0])
thread.join()
"""


@pytest.mark.parametrize("which", ["visited", "separable"])
def test_ctrl_c_ends_a_search_within_half_a_second(which):
    for delay in (0.6, 1.1, 0.9):  # a loaded machine may be late; a search that does not look up is late every time
        told = subprocess.run(
            [sys.executable, "-c", INTERRUPT, which, str(delay)], capture_output=True, text=True, timeout=60, check=True
        )
        if float(told.stdout) < 0.5:
            return
    pytest.fail(f"{told.stdout} seconds from the signal to the exception")


def test_progress_counts_to_its_total_and_may_stop():
    seen = []
    iso.search("tanh(a * b) + c * a", {n: iso.geomspace(1, 9, 150) for n in "abc"}, progress=lambda *p: seen.append(p))
    assert seen[-1][0] == seen[-1][1]
    with pytest.raises(KeyboardInterrupt):
        iso.search("tanh(a * b)", {n: iso.geomspace(1, 9, 5000) for n in "abc"}, progress=lambda *_: True)


# Printing -------------------------------------------------------------------------------------------------------


def test_results_turn_into_frames():
    pytest.importorskip("polars")  # absent where a free-threaded Python runs this file
    frame = iso.search(BOUND, AXES, by=["N"], within=0.001, top=2).to_frame("polars")
    assert frame.columns[:2] == ["N", "best"]
    assert len(frame) == 5


def test_results_print_and_turn_into_plain_data():
    found = iso.search(BOUND, AXES, by=["N"], within=0.001, top=2)
    text = str(found)
    assert text.splitlines()[0] == ("least loss of 126,000 cells: N (5) x D (4) x lr (90) x batch (70), by N")
    assert "lr_low" in text
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["best"] == found.best.tolist()
    assert plain["plateau"]["count"] == found.count.tolist()
    single = iso.search(BOUND, AXES, within=0.001, top=2)
    assert "connected part" in str(single)
    assert "longest along" in str(single)
    assert repr(single).startswith("Search(")
    assert "best" in str(single.top) or "1  " in str(single.top)


def test_axes_of_equal_ratios_are_the_nearest_floats() -> None:
    """Ties between cells fall the same way on every machine only where the axes have the same bits on each."""
    from fractions import Fraction

    for low, high, count in ((1e9, 1e11, 41), (3e-4, 7e-2, 17), (1e12, 1e8, 9), (5e-324, 1e308, 5)):
        axis = iso.geomspace(low, high, count)
        assert (axis[0], axis[-1], len(axis)) == (low, high, count)
        for i, value in enumerate(axis.tolist()):
            # value^(n-1) lies between those of its neighbours' midpoints, in exact arithmetic.
            exact = Fraction(low) ** (count - 1 - i) * Fraction(high) ** i
            below = (Fraction(np.nextafter(value, 0.0)) + Fraction(value)) / 2
            above = (Fraction(np.nextafter(value, np.inf)) + Fraction(value)) / 2
            assert below ** (count - 1) <= exact <= above ** (count - 1)
    assert iso.geomspace(1e8, 1e12, 5).tolist() == [1e8, 1e9, 1e10, 1e11, 1e12]
