"""Every reduction of a search against loops over all cells, on small random searches of all kinds of axes.

The reference knows nothing of tables, rows or chains: it evaluates the texts at every cell, sorts the cells of each
group in a list, and says of the list what the search should say. Values are few, so that ties are common, and some
cells have no finite value.
"""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import isoloss as iso
from isoloss import _core

# Searches -------------------------------------------------------------------------------------------------------

TERMS = ["a", "b", "c", "(a - b)", "abs(a - 2)", "b * c", "log(a)", "sqrt(c - 1)", "a / (b - 1)", "min(a, c)", "1.5"]
TERMS += ["exp(a * b)", "tanh(a * b * c)", "(a + b + c) % 2", "floor(b * c / 2)", "max(b, 1 - c)"]
CONDITIONS = [
    "a < b",
    "c % 2 == 0",
    "a * b * c <= 4",
    "b != 1 and c > 0",
    "not (a + c > 2 or b < 0)",
    "a > 99",
    "0 < 1",
]
WITH_TABLE = ["k", "k * a", "k + b * c"]


@st.composite
def texts(draw, table):
    """An expression over the columns, some of whose values are not finite."""
    terms = TERMS + (WITH_TABLE if table else [])
    text = draw(st.sampled_from(terms))
    for _ in range(draw(st.integers(0, 3))):
        operator, term = draw(st.sampled_from([" + ", " - ", " * ", " / "])), draw(st.sampled_from(terms))
        text = f"({text}){operator}{term}" if draw(st.booleans()) else f"{term}{operator}({text})"
    return text


@st.composite
def axis_values(draw, long):
    """Numbers that rise or fall, are all above zero or not, or have no order and repeat."""
    kind = draw(st.sampled_from(["rising", "falling", "positive", "any"]))
    size = draw(st.integers(1, 70 if long else 5))
    if kind == "any":
        rng = np.random.default_rng(draw(st.integers(0, 1000)))
        return rng.integers(-1, 4, size).astype(float)
    start = 0.25 if kind == "positive" else -1.0
    values = start + np.cumsum(np.r_[0.0, draw(st.sampled_from([0.25, 0.5, 1.0])) * (1 + np.arange(size - 1) % 2)])
    return values[::-1].copy() if kind == "falling" else values


@st.composite
def searches(draw):
    """(target, axes, options): everything that `isoloss.search` is asked, and what it is asked of."""
    long = draw(st.sampled_from([None, None, "b", "c"]))
    axes = {name: draw(axis_values(name == long)) for name in "abc"}
    table = draw(st.sampled_from([None, "table", "labels"]))
    if table == "table":
        axes["kind"] = {"label": ["x", "y", "z"], "k": [2.0, -1.0, 2.0], "unused": [1.0, 1.0, 0.0]}
    elif table == "labels":
        axes["kind"] = ["slow", "fast"]
    names = list(axes)
    order = draw(st.permutations(names))
    axes = {name: axes[name] for name in order}
    condition = draw(st.none() | st.sampled_from(CONDITIONS) | texts(table == "table").map(lambda text: f"{text} <= 2"))
    options = {
        "where": condition,
        "by": draw(st.lists(st.sampled_from(names), unique=True, max_size=3)),
        "within": draw(st.none() | st.sampled_from([0.0, 0.1, 0.5, 3.0])),
        "top": draw(st.none() | st.sampled_from([1, 4, 60])),
        "method": draw(st.sampled_from(["auto", "visit"])),
        "n_threads": draw(st.sampled_from([1, 2])),
    }
    first = draw(texts(table == "table"))
    if draw(st.booleans()):
        options["pareto"] = ("value", draw(texts(table == "table")))
    return first, axes, options


# The reference --------------------------------------------------------------------------------------------------


def columns_of(axis):
    """The columns of an axis as lists, numbers and texts."""
    return {name: list(values) for name, values in axis.items()} if isinstance(axis, dict) else {None: list(axis)}


def cells_of(axes):
    """All cells of a grid: (steps, columns)."""
    for steps in itertools.product(*(range(len(next(iter(columns_of(axis).values())))) for axis in axes.values())):
        columns = {}
        for (name, axis), step in zip(axes.items(), steps, strict=True):
            columns |= {column or name: values[step] for column, values in columns_of(axis).items()}
        yield steps, columns


def evaluated(text, cells):
    """The value of a text at every cell."""
    numbers = [name for name, value in cells[0][1].items() if not isinstance(value, str)]
    expression = _core.Expression(text, variables=numbers)
    used = [np.array([columns[name] for _, columns in cells]) for name in expression.variables]
    values = expression.evaluate(used, np.empty((1, 0)))[0]
    return values.tolist() if used else [float(values[0])] * len(cells)


def grouped(target, axes, options, cells):
    """For each group in C order of `by`: (flat index over the other axes, steps of those, columns, value, second)."""
    names = list(axes)
    by = [names.index(name) for name in options["by"]]
    free = [k for k in range(len(names)) if k not in by]
    sizes = [len(next(iter(columns_of(axis).values()))) for axis in axes.values()]
    value = evaluated(target, cells)
    second = evaluated(options["pareto"][1].replace("value", target), cells) if "pareto" in options else value
    holds = evaluated(options["where"], cells) if options["where"] else [1.0] * len(cells)
    groups = {key: [] for key in itertools.product(*(range(sizes[k]) for k in by))}
    for (steps, columns), x, y, ok in zip(cells, value, second, holds, strict=True):
        if ok != 0.0:
            flat = 0
            for k in free:
                flat = flat * sizes[k] + steps[k]
            groups[tuple(steps[k] for k in by)].append((flat, tuple(steps[k] for k in free), columns, x, y))
    return [sorted(group, key=lambda cell: cell[0]) for group in groups.values()], [names[k] for k in free]


def places_of(axis):
    """(coordinates, widths) of an ordered axis; none of one without neighbours."""
    if isinstance(axis, dict) or isinstance(axis[0], str):
        return None
    x = [float(v) for v in axis]
    pairs = list(itertools.pairwise(x))
    if not (all(a < b for a, b in pairs) or all(a > b for a, b in pairs)):
        return None
    x = [math.log2(v) for v in x] if min(x) > 0 else x
    gaps = [abs(b - a) for a, b in itertools.pairwise(x)]
    if not gaps:
        return x, [1.0]
    return x, [gaps[0], *(0.5 * (a + b) for a, b in itertools.pairwise(gaps)), gaps[-1]]


def parts_of(near, ordered, edges):
    """How many connected parts: neighbours differ by one step along one ordered axis, with edges also along two."""
    kept = np.flatnonzero(ordered)
    moves = [move for move in itertools.product((-1, 0, 1), repeat=len(kept)) if 0 < np.abs(move).sum() <= 1 + edges]
    left, parts = set(near), 0
    while left:
        parts += 1
        stack = [left.pop()]
        while stack:
            at = stack.pop()
            for move in moves:
                beside = list(at)
                for k, turn in zip(kept, move, strict=True):
                    beside[k] += turn
                if tuple(beside) in left:
                    left.remove(tuple(beside))
                    stack.append(tuple(beside))
    return parts


def flat(array, index):
    """The value of one group, the groups in C order."""
    return np.asarray(array).reshape(-1)[index]


def check_plateau(plateau, index, near, axes, free, *, condition):
    """Box, extents, volume, centre, parts, ridge and spread of the plateau of one group."""
    steps = [cell[1] for cell in near]
    places = [places_of(axes[name]) for name in free]
    assert flat(plateau.count, index) == len(near)
    weights = [math.prod(p[1][s] for p, s in zip(places, at, strict=True) if p is not None) for at in steps]
    assert flat(plateau.volume, index) == pytest.approx(sum(weights), rel=1e-9, abs=0.0)
    assert flat(plateau.parts, index) == parts_of(steps, [p is not None for p in places], condition is not None)
    for k, name in enumerate(free):
        reached = [at[k] for at in steps]
        for column, values in columns_of(axes[name]).items():
            ends = [values[min(reached)], values[max(reached)]] if near else [math.nan] * 2
            if near and places[k] is not None:
                ends = sorted(ends)
            got = [flat(side[column or name], index) for side in (plateau.low, plateau.high)]
            if isinstance(values[0], str):
                assert got == (ends if near else ["", ""])
            else:
                assert np.array_equal(got, ends, equal_nan=True)
        if places[k] is not None:
            x = places[k][0]
            reach = abs(x[max(reached)] - x[min(reached)]) if near else math.nan
            assert flat(plateau.extent[name], index) == pytest.approx(reach, rel=1e-12, abs=1e-12, nan_ok=True)
    kept = [k for k in range(len(free)) if places[k] is not None]
    if not near or not kept:
        return
    x = np.array([[places[k][0][at[k]] for k in kept] for at in steps])
    mean = np.average(x, axis=0, weights=weights)
    for j, k in enumerate(kept):
        positive = min(axes[free[k]]) > 0
        got = flat(plateau.center[free[k]], index)
        assert (math.log2(got) if positive else got) == pytest.approx(mean[j], abs=1e-9)
    wide = [j for j, k in enumerate(kept) if len(axes[free[k]]) > 1]
    if not wide:
        return
    away = x[:, wide] - mean[wide]
    cov = away.T @ (away * np.array(weights)[:, None]) / sum(weights)
    values, vectors = np.linalg.eigh(cov)
    spread = np.asarray(plateau.spread).reshape(-1, len(wide))[index]
    assert np.allclose(spread**2, values[::-1], atol=1e-9)
    direction = np.array([flat(plateau.ridge[free[kept[j]]], index) for j in wide])
    others = values[-2] if len(wide) > 1 else 0.0
    if values[-1] > 1.001 * others + 1e-6:
        assert abs(direction @ vectors[:, -1]) == pytest.approx(1.0, abs=1e-6)
        assert direction[np.abs(direction).argmax()] > 0
        assert np.linalg.norm(direction) == pytest.approx(1.0, abs=1e-9)


def check_front(front, counted):
    """The front of one group by comparing all pairs; of equal cells the first."""
    best = [
        cell
        for i, cell in enumerate(counted)
        if not any(
            other[3] <= cell[3] and other[4] <= cell[4] and (other[3] < cell[3] or other[4] < cell[4] or j < i)
            for j, other in enumerate(counted)
        )
    ]
    best.sort(key=lambda cell: cell[3])
    assert front.cell.tolist() == [cell[0] for cell in best]
    assert front.first.tolist() == [cell[3] for cell in best]
    assert front.second.tolist() == [cell[4] for cell in best]
    for name, column in front.at.items():
        assert column.tolist() == [cell[2][name] for cell in best]


def near_of(counted, within):
    """The cells within the tolerance."""
    least = min((cell[3] for cell in counted), default=math.inf)
    return [cell for cell in counted if cell[3] <= least + within * abs(least)]


@settings(max_examples=250)
@given(searches())
def test_every_reduction_is_what_a_loop_over_all_cells_says(asked):
    target, axes, options = asked
    found = iso.search({"value": target}, axes, **options)
    cells = list(cells_of(axes))
    groups, free = grouped(target, axes, options, cells)
    assert found.cells == len(cells)
    assert np.shape(found.best) == tuple(len(next(iter(columns_of(axes[name]).values()))) for name in options["by"])
    for index, group in enumerate(groups):
        counted = [cell for cell in group if math.isfinite(cell[3]) and math.isfinite(cell[4])]
        ranked = sorted(counted, key=lambda cell: (cell[3], cell[0]))
        assert flat(found.feasible, index) == len(counted)
        assert flat(found.nonfinite, index) == len(group) - len(counted)
        assert flat(found.visited, index) == len(cells) // len(groups)
        if ranked:
            assert flat(found.best, index) == ranked[0][3]
            assert flat(found.cell, index) == ranked[0][0]
            assert all(flat(values, index) == ranked[0][2][name] for name, values in found.argbest.items())
        else:
            assert math.isnan(flat(found.best, index))
            assert flat(found.cell, index) == -1
        if options["top"]:
            most = options["top"]
            values, places = (np.reshape(x, (-1, most))[index] for x in (found.top.value, found.top.cell))
            number = min(most, len(ranked))
            assert values[:number].tolist() == [cell[3] for cell in ranked[:most]]
            assert places.tolist() == [cell[0] for cell in ranked[:most]] + [-1] * (most - number)
            assert np.isnan(values[number:]).all()
            for name, column in found.top.at.items():
                assert np.reshape(column, (-1, most))[index][:number].tolist() == [c[2][name] for c in ranked[:most]]
        if options["within"] is None:
            assert flat(found.count, index) == len(counted)
        else:
            near = near_of(counted, options["within"])
            assert flat(found.count, index) == len(near)
            check_plateau(found.plateau, index, near, axes, free, condition=options["where"])
        if "pareto" in options:
            check_front(found.front[index] if options["by"] else found.front, counted)


# Draws ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    return iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0))).bootstrap(12, seed=0)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    by=st.lists(st.sampled_from(["N", "D", "kind"]), unique=True, max_size=2),
    order=st.permutations(["N", "D", "kind"]),
    condition=st.sampled_from([None, "N * D <= 2e20", "k * N < D", "D / N % 2 < 1", "N > 1e30"]),
    within=st.none() | st.sampled_from([0.0, 0.02, 0.3]),
    target=st.sampled_from(["loss", "loss * k", "log(loss - 2.6) + k", "tanh(loss * D / N) - k"]),
)
def test_a_search_under_draws_is_a_search_for_each_draw(drawn, seed, by, order, condition, within, target):
    rng = np.random.default_rng(seed)
    # Draws far apart, so that the best cells and the plateaus differ.
    params = drawn.params * np.exp(rng.normal(0.0, 0.1, drawn.params.shape))
    draws = replace(drawn, params=params)
    given = {
        "N": np.array([1e9, 2e9, 4e9, 3e10]),
        "D": iso.geomspace(1e10, 1e12, 7),
        "kind": {"label": ["x", "y"], "k": [1.0, 3.0]},
    }
    axes = {name: given[name] for name in order}
    options = {"where": condition, "by": by, "within": within}
    found = iso.search({"loss": draws, "value": target}, axes, minimize="value", **options)
    shape = tuple(len(np.atleast_1d(axes[name])) if name != "kind" else 2 for name in by)
    near = None
    every = []
    for k, row in enumerate(params):
        bound = drawn.bound.law.bind(dict(zip(drawn.names, row, strict=True)))
        one = iso.search({"loss": bound, "value": target}, axes, minimize="value", **options)
        assert np.array_equal(found.draws.best[k], one.best, equal_nan=True)
        assert np.array_equal(found.draws.count[k], one.count)
        for name, values in found.draws.argbest.items():
            expected = one.argbest[name]
            same = np.array_equal(values[k], expected, equal_nan=values.dtype.kind == "f")
            assert same, name
        every.append(np.asarray(one.best).reshape(shape))
        if within is not None:
            hits = on_plateau(one, bound, target, axes, options)
            near = hits if near is None else near + hits
    if within is None:
        assert found.draws.probability is None
    else:
        assert np.array_equal(found.draws.probability, near / len(params))
    with np.errstate(all="ignore"):
        for q in (0.0, 0.3, 1.0):
            got = np.asarray(found.draws.quantile(q)["best"]).reshape(shape)
            for at in np.ndindex(shape):
                values = [best[at] for best in every if np.isfinite(best[at])]
                expected = np.quantile(values, q) if values else np.nan
                assert got[at] == pytest.approx(expected, rel=1e-12, nan_ok=True)


def on_plateau(one, bound, target, axes, options):
    """1 where a cell lies within the tolerance of the best of its group; of the shape of `by`, then of the others."""
    cells = list(cells_of(axes))
    columns = {name: np.array([c[name] for _, c in cells]) for name in ("N", "D", "k")}
    numbers = {**columns, "loss": bound(N=columns["N"], D=columns["D"])}

    def value(text):
        expression = _core.Expression(text, variables=list(numbers))
        return expression.evaluate([numbers[name] for name in expression.variables], np.empty((1, 0)))[0]

    counts = np.ones(len(cells), bool) if options["where"] is None else value(options["where"]) != 0.0
    counts &= np.isfinite(value(target))
    sizes = [2 if name == "kind" else len(axes[name]) for name in axes]
    names = list(axes)
    by = [names.index(name) for name in options["by"]]
    order = [*by, *(k for k in range(3) if k not in by)]
    values = np.where(counts, value(target), np.inf).reshape(sizes).transpose(order)
    best = np.reshape(np.nan_to_num(one.best, nan=-1e300), (*np.shape(one.best), *(1 for _ in range(3 - len(by)))))
    return (values <= best + options["within"] * np.abs(best)).astype(float)


# Between cells --------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    text=texts(False),
    condition=st.none() | st.sampled_from(["a * b <= 2", "a + c > 0", "b < 1 or c > 0"]),
    by=st.sampled_from([(), ("a",), ("c", "b")]),
    seed=st.integers(0, 10_000),
)
def test_no_point_between_cells_is_below_the_bound(text, condition, by, seed):
    rng = np.random.default_rng(seed)
    axes = {name: np.sort(rng.uniform(-1.0, 3.0, size)) for name, size in zip("abc", (3, 4, 3), strict=True)}
    found = iso.search(text, axes, where=condition, by=by, refine=True)
    refined = found.refined
    for index in range(np.size(found.best)):
        best, bound = flat(found.best, index), flat(refined.bound, index)
        if not np.isfinite(best):
            assert math.isnan(flat(refined.best, index))
            continue
        at = {name: flat(found.argbest[name], index) for name in axes}
        there = {name: np.array([flat(refined.at[name], index)]) for name in axes}
        # What is said to be reached is reached, in the box, and where the condition holds.
        assert values_at(text, there)[0] == flat(refined.best, index) <= best
        assert condition is None or values_at(condition, there)[0] != 0.0
        assert flat(refined.gap, index) == best - flat(refined.best, index)
        assert bound >= flat(refined.gap, index)
        box = {}
        for name, values in axes.items():
            step = int(np.flatnonzero(values == at[name])[0])
            ends = [at[name]] * 2 if name in by else values[[max(step - 1, 0), min(step + 1, len(values) - 1)]]
            assert ends[0] <= there[name][0] <= ends[1]
            box[name] = rng.uniform(*ends, 2000)
        inside = values_at(text, box)
        if condition is not None:
            inside = inside[values_at(condition, box) != 0.0]
        inside = inside[np.isfinite(inside)]
        assert not len(inside) or inside.min() >= best - bound - 1e-12 * abs(best)


def values_at(text, columns):
    """The values of a text at points given by columns."""
    expression = _core.Expression(text, variables=list(columns))
    values = expression.evaluate([columns[name] for name in expression.variables], np.empty((1, 0)))[0]
    return values if expression.variables else np.full(len(next(iter(columns.values()))), values[0])
