"""What a search gives besides the best: fronts, draws, the point between cells, and the command line."""

import json

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import OptionError


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
    assert np.all(refined.convex)
    # No point of the box may be lower than the bound says.
    assert np.all(found.best - refined.bound <= 2.0)
    assert np.all(refined.bound <= 1.1 * refined.gap + 1e-6)
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
