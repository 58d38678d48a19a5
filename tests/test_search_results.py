"""What a search gives besides the best: fronts, draws, the point between cells, and the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import DataError, OptionError


def grid(axes):
    """The columns of all cells, each of the grid's shape."""
    return dict(zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True))


# Two values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("by", [(), ("a",)])
def test_a_front_holds_what_no_cell_beats(seed, by):
    rng = np.random.default_rng(seed)
    axes = {name: rng.integers(0, 9, size).astype(float) for name, size in zip("abc", (3, 30, 70), strict=True)}
    at = grid(axes)
    first, second = np.abs(at["a"] + at["b"] - at["c"]), (at["b"] - 4) ** 2 + at["c"] % 3
    counts = at["b"] + at["c"] >= 3
    found = iso.search(
        {"f": "abs(a + b - c)", "g": "(b - 4)**2 + c % 3"}, axes, where="b + c >= 3", by=by, pareto=("f", "g")
    )
    for k in range(3 if by else 1):
        pick = (lambda array, k=k: array[k].ravel()) if by else np.ravel
        f, g, ok = pick(first), pick(second), pick(counts)
        cells = [
            i
            for i in np.flatnonzero(ok)
            if not np.any(ok & (f <= f[i]) & (g <= g[i]) & ((f < f[i]) | (g < g[i]) | (np.arange(len(f)) < i)))
        ]
        cells.sort(key=lambda i: f[i])
        front = found.front[k] if by else found.front
        assert front.cell.tolist() == cells
        assert np.array_equal(front.first, f[cells])
        assert np.array_equal(front.second, g[cells])
        assert len(front) == len(front.to_frame()["b"])
    assert np.all(np.asarray(found.best) == (first.min(axis=(1, 2)) if by else np.where(counts, first, 9e9).min()))


def test_a_cell_needs_both_values_for_the_front():
    found = iso.search("x", {"x": [-1.0, 0.0, 1.0, 2.0]}, pareto=("x", "log(x)"))
    assert (found.feasible, found.nonfinite) == (2, 2)
    assert found.front.first.tolist() == [1.0]
    assert "none beats" in str(found)


@pytest.mark.parametrize("pair", ["xy", ("x",), ("x", 3), ("x", "y", "x")])
def test_a_front_needs_two_expressions(pair):
    with pytest.raises(OptionError, match="pareto"):
        iso.search("x", {"x": [1.0, 2.0]}, pareto=pair)


def test_the_least_value_is_one_of_the_front():
    with pytest.raises(OptionError, match="minimize='x \\* 2'"):
        iso.search("x", {"x": [1.0, 2.0]}, pareto=("x", "-x"), minimize="x * 2")
    assert iso.search("x", {"x": [1.0, 2.0]}, pareto=("x", "-x"), minimize="-x").best == -2.0


# Draws ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    return iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0))).bootstrap(40, seed=0)


@pytest.mark.parametrize("where", [None, "6 * N * D <= 1e23", "D / N >= 20 and D / N <= 200 or N < 2e9"])
@pytest.mark.parametrize("by", [(), ("N",), ("D",)])
@pytest.mark.parametrize("method", ["auto", "visit"])
def test_draws_give_each_cell_its_probability(drawn, where, by, method):
    axes = {"N": iso.geomspace("1B", "100B", 60), "D": iso.geomspace("10B", "10T", 70)}
    at = grid(axes)
    ok = {
        None: np.ones(at["N"].shape, dtype=bool),
        "6 * N * D <= 1e23": 6 * at["N"] * at["D"] <= 1e23,
    }.get(where, (at["D"] / at["N"] >= 20) & (at["D"] / at["N"] <= 200) | (at["N"] < 2e9))
    found = iso.search(drawn, axes, where=where, by=by, within=0.01, method=method)
    near = np.zeros(at["N"].shape)
    law = drawn.bound.law
    axis = {(): (0, 1), ("N",): 1, ("D",): 0}[by]
    for k, params in enumerate(drawn.params):
        values = np.where(ok, law.bind(dict(zip(drawn.names, params, strict=True)))(**at), np.inf)
        least = values.min(axis=axis, keepdims=True)
        assert np.array_equal(
            found.draws.best[k],
            np.where(np.isfinite(least), least, np.nan).reshape(found.draws.best[k].shape),
            equal_nan=True,
        )
        hits = (values <= least + 0.01 * np.abs(least)) & np.isfinite(values)
        assert np.array_equal(found.draws.count[k], hits.sum(axis=axis))
        near += hits
    shown = found.draws.probability if by != ("D",) else found.draws.probability.T
    assert np.array_equal(shown, near / 40)
    fit = iso.search(drawn.bound, axes, where=where, by=by, within=0.01)
    assert np.array_equal(found.best, fit.best, equal_nan=True)


def test_draws_give_intervals_of_the_best_and_of_its_place(drawn):
    axes = {"N": iso.geomspace("1B", "100B", 200), "C": [1e22, 1e23]}
    found = iso.search(drawn, axes, by="C")
    low, high = found.draws.conf_int(0.9)["N"]
    assert np.array_equal(low, np.quantile(found.draws.argbest["N"], 0.05, axis=0))
    assert np.all(low <= found.argbest["N"])
    assert np.all(found.argbest["N"] <= high)
    assert found.draws.probability is None
    assert found.draws.quantile(0.5)["best"].shape == (2,)
    assert "draws" in str(found)
    assert set(json.loads(json.dumps(found.to_dict()))["draws"]["interval"]) == {"best", "N"}
    with pytest.raises(OptionError):
        found.draws.quantile(1.5)
    with pytest.raises(OptionError):
        found.draws.conf_int(95)
    with pytest.raises(OptionError, match="two sets of draws"):
        iso.search({"a": drawn, "b": drawn}, axes)


# Between the cells ----------------------------------------------------------------------------------------------


def test_refining_finds_the_point_between_the_cells():
    axes = {
        "N": iso.geomspace("1B", "100B", 3),
        "lr": iso.geomspace(1e-5, 1e-1, 30),
        "batch": iso.geomspace(1e3, 1e8, 30),
    }
    text = "2 + 0.02 * (log(lr) + 0.3 * log(N))**2 + 0.01 * (log(batch) - 0.5 * log(N * lr) - 4)**2"
    found = iso.search(text, axes, by="N", refine=True)
    refined = found.refined
    assert np.allclose(refined.best, 2.0, rtol=1e-12)
    assert np.allclose(refined.at["lr"], axes["N"] ** -0.3, rtol=1e-5)
    assert np.allclose(refined.at["batch"], np.exp(4) * np.sqrt(axes["N"] ** 0.7), rtol=1e-5)
    assert np.array_equal(refined.at["N"], axes["N"])
    assert np.allclose(refined.gap, found.best - 2.0, atol=1e-12)
    # No point of the box is lower than the bound says, and the bound is close to what was found.
    assert np.all(found.best - refined.bound <= 2.0)
    assert np.all(refined.bound <= 1.02 * refined.gap + 1e-8)
    assert refined.step["lr"] == pytest.approx(np.log2(1e4) / 29)
    assert "between cells" in str(found)


def test_refining_keeps_to_the_condition_and_the_axes():
    found = iso.search("(x - 2.3)**2", {"x": iso.linspace(0, 4, 5)}, where="x <= 2.1", refine=True)
    assert found.best == pytest.approx(0.09)
    assert 2.0999 < found.refined.at["x"] <= 2.1
    edge = iso.search("-x", {"x": iso.linspace(0, 4, 5)}, refine=True)
    assert (edge.refined.at["x"], edge.refined.gap) == (4.0, 0.0)
    none = iso.search("x", {"x": iso.linspace(0, 4, 5)}, where="x > 9", refine=True)
    assert np.isnan(none.refined.best)
    table = iso.search("k + 0 * x", {"x": {"k": [3.0, 1.0], "x": [1.0, 2.0]}}, refine=True)
    assert table.refined.at == {"k": 1.0, "x": 2.0}
    bumpy = iso.search(
        "y * 0 + abs(x - 1.7) + 3 * abs(x - 1) * (x < 1.6)",
        {"x": iso.linspace(0, 4, 5), "y": 1.0},
        refine=True,
    )
    assert bumpy.refined.best <= bumpy.best


@pytest.mark.parametrize("seed", range(8))
def test_the_bound_holds_where_the_value_is_not_convex(seed):
    rng = np.random.default_rng(seed)
    axes = {"x": iso.linspace(0, 4, 9), "y": iso.linspace(0, 4, 9)}
    a, b, c, d = (float(v) for v in rng.uniform(0.5, 3.0, 4))
    # Saddles, kinks and waves (of whole parts): a test of slopes or of neighbours alone would be misled.
    texts = [
        f"({a} * x - {b})**2 * ({c} * y - {d})**2 - 0.3 * x * y + x",
        f"abs(x - {a}) * abs(y - {b}) + max(x - {c}, {d} - y) - 0.2 * x * y",
        f"(x * {a} + y) % 1 - 0.1 * (y * {b} - x)**2 / (1 + y)",
        f"-tanh({a} * (x - {b})) * exp(-(y - {c})**2) + 0.05 * x * y",
    ]
    # A fine grid of points, of which the search saw one in 400.
    fine = {name: np.linspace(0, 4, 8 * 20 + 1) for name in axes}
    for text in texts:
        for where in (None, "x + y >= 2", "x * y <= 3"):
            found = iso.search(text, axes, where=where, refine=True)
            refined = found.refined
            box = {name: np.abs(values - found.argbest[name]) <= 0.5 + 1e-12 for name, values in fine.items()}
            near = {name: fine[name][box[name]] for name in axes}
            below = iso.search(text, near, where=where)
            assert found.best - refined.bound <= below.best + 1e-12, (text, where)
            assert 0.0 <= refined.gap <= refined.bound < np.inf


def test_where_nothing_can_be_proven_it_is_said():
    found = iso.search("root(t, t**3 + t - x, 0, 9) + x * 0", {"x": iso.linspace(1, 4, 9)}, refine=True)
    assert found.refined.bound == np.inf
    assert "no bound is proven" in str(found)
    told = iso.search("(x - 2.1)**2", {"x": iso.linspace(1, 4, 9)}, refine=True)
    assert "proven at most" in str(told)


# Interrupts -----------------------------------------------------------------------------------------------------


def stop_after(calls):
    """A progress callback that stops at the given call."""
    seen = []

    def stop(*told):
        seen.append(told)
        return len(seen) >= calls

    return stop


@pytest.mark.parametrize("by", [(), ("a",)])
def test_an_interrupted_search_gives_what_it_has_visited(by):
    axes = {name: iso.geomspace(1, 9, 400) for name in "abc"}
    text = "tanh(a * b - c) + erf(a * c) - log(a + b * c)"
    part = iso.search(text, axes, by=by, within=0.01, progress=stop_after(3), on_interrupt="partial", n_threads=1)
    assert [notice.code for notice in part.warnings if notice.severity == "serious"] == ["interrupted"]
    assert 0 < np.sum(part.visited) < part.cells == 400**3
    assert "interrupted: " in str(part)
    visited, count = np.atleast_1d(part.visited), np.atleast_1d(part.count)
    if by:
        whole = np.flatnonzero(visited == 400**2)
        assert len(whole) > 0
        full = iso.search(text, {**axes, "a": axes["a"][whole]}, by=by, within=0.01)
        assert np.array_equal(part.best[whole], full.best)
        assert np.array_equal(count[whole], full.count)
        assert np.all(np.isnan(part.best[visited == 0]))
    assert np.all(count[visited < 400 ** (3 - len(by))] == -1)
    with pytest.raises(KeyboardInterrupt):
        iso.search(text, axes, by=by, progress=stop_after(3))
    with pytest.raises(OptionError, match="on_interrupt"):
        iso.search(text, axes, on_interrupt="ignore")


def test_an_interrupt_among_the_draws_leaves_those_that_are_finished():
    drawn = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0))).bootstrap(100, seed=0)
    axes = {"N": iso.geomspace("1B", "100B", 700), "D": iso.geomspace("10B", "10T", 700)}

    def stop(done, total):
        return total >= 100 and done > 2  # the search at the estimates has less

    target = {"loss": drawn, "wave": "loss + 1e-3 * tanh(log(N) * log(D) - 500)"}
    part = iso.search(target, axes, minimize="wave", within=0.01, progress=stop, on_interrupt="partial", n_threads=1)
    done = np.isfinite(part.draws.best)
    assert 0 < done.sum() < len(done)
    assert np.all(part.draws.count[~done] == -1)
    assert "draws were finished" in str(part)
    full = iso.search(target, axes, minimize="wave", within=0.01)
    assert np.array_equal(part.draws.best[done], full.draws.best[done])
    assert np.array_equal(part.draws.count[done], full.draws.count[done])
    assert part.best == full.best
    assert np.isclose(part.draws.probability.sum() * done.sum(), part.draws.count[done].sum())


def test_an_interrupt_among_few_large_draws_leaves_those_that_are_finished():
    """Sheets of so few draws are cut, and a plateau takes two visits: draws are done a few at a time all the same."""
    drawn = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0))).bootstrap(12, seed=0)
    axes = {"N": iso.geomspace("1B", "100B", 2000), "D": iso.geomspace("10B", "10T", 2000)}
    target = {"loss": drawn, "wave": "loss + 1e-3 * tanh(log(N) * log(D) - 500)"}
    seen = []

    def stop(done, total):
        seen.append((done, total))
        return len(drawn) * 31 <= total and done > 0.6 * total  # the search at the estimates has less

    part = iso.search(target, axes, minimize="wave", within=0.001, progress=stop, on_interrupt="partial", n_threads=2)
    done = np.flatnonzero(np.isfinite(part.draws.best))
    assert 0 < len(done) < len(drawn)
    assert all(a <= b for a, b in seen)
    few = replace(drawn, params=drawn.params[done])
    whole = iso.search({**target, "loss": few}, axes, minimize="wave", within=0.001)
    assert np.array_equal(part.draws.best[done], whole.draws.best)
    assert np.array_equal(part.draws.count[done], whole.draws.count)
    assert np.array_equal(part.draws.probability, whole.draws.probability)
    assert np.all(np.delete(part.draws.count, done) == -1)
    assert f"{len(done)} of 12 draws were finished" in str(part)


# Saved and repeated ---------------------------------------------------------------------------------------------


def everything(search):
    """All numbers of a result, as bytes by name."""

    def walk(name, value):
        if hasattr(value, "__dataclass_fields__"):
            for part in value.__dataclass_fields__:
                if part not in ("asked", "found", "axes", "warnings"):
                    yield from walk(f"{name}.{part}", getattr(value, part))
        elif isinstance(value, dict):
            for key, one in value.items():
                yield from walk(f"{name}[{key}]", one)
        elif isinstance(value, tuple):
            for k, one in enumerate(value):
                yield from walk(f"{name}[{k}]", one)
        else:
            array = np.asarray(value)
            yield name, (array.dtype.kind, array.shape, array.tobytes() if array.dtype.kind != "O" else repr(value))

    return dict(walk("", search))


def test_a_saved_search_comes_back_and_can_be_repeated_to_the_bit(drawn, tmp_path):
    chips = {"chip": ["slow", "fast"], "speed": [1.0, 3.0]}
    axes = {"N": iso.geomspace("1B", "100B", 40), "D": iso.geomspace("10B", "10T", 30), "kind": chips}
    target = {"loss": drawn, "cost": "6 * N * D / speed"}
    asked = [
        {"by": "N", "within": 0.01, "top": 3, "refine": True, "where": "cost <= 1e23"},
        {"within": 0.002, "refine": True, "pareto": ("loss", "cost")},
        {"by": ["kind", "D"], "where": "N * D > 1e30"},
        {"minimize": "cost", "where": "loss <= 2.2", "method": "visit", "shape": False, "within": 0.1},
    ]
    for k, options in enumerate(asked):
        found = iso.search(target, axes, **options)
        found.save(tmp_path / f"{k}.json")
        again = iso.load(tmp_path / f"{k}.json")
        assert everything(again) == everything(found)
        assert (str(again), again.warnings) == (str(found), found.warnings)
        assert everything(again.rerun(n_threads=1)) == everything(found)


def test_a_damaged_file_of_a_search_is_refused(tmp_path):
    path = tmp_path / "search.json"
    iso.search("(x - 0.3)**2", {"x": iso.linspace(0, 1, 1001)}, within=0.1).save(path)
    data = json.loads(path.read_text())
    assert "packed" in data["asked"]["axes"][0]["columns"]["x"]
    data["asked"]["minimize"] = "x"
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="altered"):
        iso.load(path)
    del data["sha256"]
    for damage in ({"type": "|O8"}, {"shape": [2000]}, {"shape": [1]}, {"packed": "!"}, {"packed": "AAAA"}):
        broken = json.loads(json.dumps(data))
        broken["asked"]["axes"][0]["columns"]["x"] |= damage
        path.write_text(json.dumps(broken))
        with pytest.raises(DataError) as caught:
            iso.load(path)
        assert caught.value.code == "file-schema"


# What was asked -------------------------------------------------------------------------------------------------


def test_an_axis_that_nothing_depends_on_is_told():
    axes = {"x": [1.0, 2.0], "y": [1.0, 2.0, 3.0], "z": [5.0], "kind": {"name": ["a", "b"]}}
    found = iso.search({"f": "x + k", "k": "x * 2", "unasked": "y"}, axes)
    told = [notice.details["axis"] for notice in found.warnings if notice.code == "search-unused-axis"]
    assert told == ["y", "kind"]
    for option in ({"where": "y < 2"}, {"pareto": ("f", "unasked")}, {"minimize": "unasked + f"}):
        found = iso.search({"f": "x + k", "k": "x * 2", "unasked": "y"}, axes, **option)
        told = [notice.details["axis"] for notice in found.warnings if notice.code == "search-unused-axis"]
        assert told == ["kind"], option


def test_an_empty_search_says_why_and_has_no_best_point():
    found = iso.search("x + y", {"x": [1.0, 2.0], "y": [3.0, 4.0]}, where="x > y", within=0.1, top=3, refine=True)
    assert str(found).splitlines() == [
        "least value of 4 cells where x > y: x (2) x y (2)",
        "  serious [search-empty]: no cell counts: the condition holds nowhere",
    ]
    for ask in (found.point, found.plot_parallel):
        with pytest.raises(DataError) as caught:
            ask()
        assert caught.value.code == "search-empty"
    assert "nowhere finite" in str(iso.search("log(-x)", {"x": [1.0, 2.0]}))
    assert "holds the value is not finite" in str(iso.search("log(-x)", {"x": [1.0, 2.0]}, where="x > 1"))
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["best"] is None


def test_the_point_of_a_group_is_asked_by_its_values(drawn):
    axes = {"N": iso.geomspace("1B", "100B", 40), "C": [1e22, 1e23], "kind": {"chip": ["a", "b"], "k": [1.0, 2.0]}}
    found = iso.search({"loss": drawn.bound, "v": "loss * k"}, axes, minimize="v", by=["C", "kind"])
    point = found.point(C="1e23", kind="b")
    assert (point["C"], point["chip"], point["N"]) == (1e23, "b", found.argbest["N"][1, 1])
    for wrong in ({}, {"C": 1e23}, {"C": 1e24, "kind": "a"}, {"C": 1e23, "kind": "a", "N": 1e9}):
        with pytest.raises(OptionError):
            found.point(**wrong)


def test_the_best_cells_are_drawn_across_parallel_axes():
    pytest.importorskip("matplotlib")
    axes = {"lr": iso.geomspace(1e-4, 1e-2, 50), "batch": iso.geomspace(1e4, 1e7, 50), "N": [1e9]}
    found = iso.search("2 + (log(lr) + 6)**2 + (log(batch) - 12)**2 + 0 * N", axes, top=30)
    drawn = found.plot_parallel()
    lines = drawn.collections[0].get_segments()
    assert len(lines) == 30
    assert [tick.get_text() for tick in drawn.get_xticklabels()] == ["lr", "batch", found.minimize]
    grouped = iso.search("2 + (log(lr) + 6)**2 + (log(batch) - log(N))**2", {**axes, "N": [1e5, 1e6]}, by="N")
    assert len(grouped.plot_parallel().collections[0].get_segments()) == 2


# The command line -----------------------------------------------------------------------------------------------


def test_the_command_line_gives_what_the_library_gives(tmp_path, capsys):
    from isoloss.cli import main

    fit = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)))
    path = tmp_path / "fit.json"
    fit.save(path, draws=fit.bootstrap(20, seed=0))
    words = ["search", str(path), "--axis", "N=1e8:1e12:100log", "--axis", "D=10B:10T:80log"]
    assert main([*words, "--where", "6*N*D <= 1e24", "--by", "N", "--within", "0.1%", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    axes = {"N": iso.geomspace(1e8, 1e12, 100), "D": iso.geomspace(1e10, 1e13, 80)}
    found = iso.search(fit, axes, where="6*N*D <= 1e24", by="N", within=0.001)
    assert told["command"] == "search"
    assert told["count"] == found.count.tolist()
    assert told["best"] == null(found.best)
    assert (
        main([*words, "--define", "cost=C / 1e18", "--pareto", "loss,cost", "--refine", "--draws", "--top", "2"]) == 0
    )
    assert "none beats" in capsys.readouterr().out
    saved = tmp_path / "search.json"
    assert main([*words, "--within", "0.1%", "-o", str(saved)]) == 0
    assert capsys.readouterr().out.strip() == str(iso.load(saved)).strip()
    assert main(["search", str(saved), "--axis", "N=1e9"]) == 2
    assert "does not hold a fit but a Search: print(iso.load(" in capsys.readouterr().err
    assert main([*words, "--where", "N < 0"]) == 1
    assert "search-empty" in capsys.readouterr().err
    for wrong, said in {
        "N": "expected NAME=LOW:HIGH",
        "N=1:2": "expected LOW:HIGH:COUNT",
        "N=1:2:3": "followed by log or lin",
        "N=1:2:xlog": "not a number",
        "N=0:2:3log": "above zero",
    }.items():
        assert main(["search", str(path), "--axis", wrong]) == 2
        assert said in capsys.readouterr().err
    assert main([*words, "--axis", "N=3"]) == 2
    assert main([*words, "--define", "cost"]) == 2


def null(values):
    return [None if np.isnan(value) else value for value in values.tolist()]
