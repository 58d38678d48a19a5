"""What must not matter: the size of the weights, the units of data, the order of rows and problems, a careless start.

A change of units is undone in the parameters before they are compared: an amplitude A of A / N**alpha takes up the
factor of N to the power alpha.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import OptimizeWarning, curve_fit

import isoloss as iso

TEXT = "E + A / N**alpha + B / D**beta"
OBJECTIVES = {
    "squared-raw": iso.SquaredError(space="raw"),
    "squared-log": iso.SquaredError(space="log"),
    "huber-log": iso.Huber(delta=1e-3, space="log"),
    "absolute-log": iso.AbsoluteError(space="log"),
}
SIGNED = "a + b * x**c + d * exp(-k * x)"


def sweep() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    N = 10.0 ** random.uniform(7.5, 10.5, 120)
    D = N * 10.0 ** random.uniform(0.3, 2.5, 120)
    truth = iso.law(TEXT).bind(E=1.8, A=480.0, alpha=0.35, B=2100.0, beta=0.37)
    return {"N": N, "D": D, "loss": truth(N=N, D=D) * np.exp(random.normal(0.0, 4e-3, 120))}


DATA = sweep()
LAW = iso.law(TEXT, positive=["E", "A", "B"], bounds={"alpha": (0.0, 2.0), "beta": (0.0, 2.0)})


def curve() -> dict[str, np.ndarray]:
    random = np.random.default_rng(8)
    x = np.linspace(0.5, 12.0, 80)
    return {"x": x, "loss": 3.0 - 1.3 * x**0.6 + 2.0 * np.exp(-0.9 * x) + random.normal(0.0, 1e-3, 80)}


def params(fit: iso.Fit) -> dict[str, float]:
    assert fit.success
    return dict(fit.params)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_size_of_the_objective(name: str, factor: float) -> None:
    plain = iso.fit(LAW, DATA, objective=OBJECTIVES[name])
    weighted = iso.fit(LAW, DATA, objective=OBJECTIVES[name], weights=np.full(120, factor))
    assert weighted.value == pytest.approx(factor * plain.value, rel=1e-12)
    assert params(weighted) == pytest.approx(params(plain), rel=1e-8)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_units_of_sizes_and_tokens(name: str, factor: float) -> None:
    plain = params(iso.fit(LAW, DATA, objective=OBJECTIVES[name]))
    moved = params(iso.fit(LAW, {**DATA, "N": factor * DATA["N"], "D": factor * DATA["D"]}, objective=OBJECTIVES[name]))
    moved["A"] *= factor ** -moved["alpha"]
    moved["B"] *= factor ** -moved["beta"]
    assert moved == pytest.approx(plain, rel=1e-8)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_units_of_the_loss(name: str, factor: float) -> None:
    plain = params(iso.fit(LAW, DATA, objective=OBJECTIVES[name]))
    moved = params(iso.fit(LAW, {**DATA, "loss": factor * DATA["loss"]}, objective=OBJECTIVES[name]))
    assert moved == pytest.approx({**plain, **{key: factor * plain[key] for key in "EAB"}}, rel=1e-8)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_units_of_a_law_without_constraints(factor: float) -> None:
    """From one start, converted like the result: no scale comes from elsewhere."""
    start = {"a": 1.0, "b": -1.0, "c": 1.0, "d": 1.0, "k": 0.5}
    law = iso.law(SIGNED, vars=["x"])
    data = curve()

    def solved(x: float, y: float) -> dict[str, float]:
        """The fit with x and the loss in other units, in the old ones."""
        into = {"a": y, "b": y * x ** -start["c"], "c": 1.0, "d": y, "k": 1.0 / x}
        fit = iso.fit(
            law,
            {"x": x * data["x"], "loss": y * data["loss"]},
            objective="squared_raw",
            starts=[start[name] * into[name] for name in law.parameters],
        )
        back = {**into, "b": y * x ** -fit.params["c"]}
        return {name: value / back[name] for name, value in params(fit).items()}

    plain = solved(1.0, 1.0)
    assert plain["k"] == pytest.approx(0.9, rel=0.1)
    assert solved(factor, 1.0) == pytest.approx(plain, rel=1e-8)
    assert solved(1.0, factor) == pytest.approx(plain, rel=1e-8)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_order_of_rows(name: str) -> None:
    plain = iso.fit(LAW, DATA, objective=OBJECTIVES[name])
    order = np.random.default_rng(3).permutation(120)
    mixed = iso.fit(LAW, {key: column[order] for key, column in DATA.items()}, objective=OBJECTIVES[name])
    assert mixed.value == pytest.approx(plain.value, rel=1e-12)
    assert params(mixed) == pytest.approx(params(plain), rel=1e-8)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("threads", [1, 2])
def test_order_of_problems(name: str, threads: int) -> None:
    """The same bits, wherever in the batch a problem stands and in whatever company."""
    random = np.random.default_rng(4)
    targets = DATA["loss"] * np.exp(random.normal(0.0, 3e-3, (40, 120)))
    variables = {"N": DATA["N"], "D": DATA["D"]}
    plain = iso.fit_many(LAW, variables, targets, objective=OBJECTIVES[name], n_threads=threads)
    order = random.permutation(40)
    mixed = iso.fit_many(LAW, variables, targets[order], objective=OBJECTIVES[name], n_threads=threads)
    assert np.array_equal(mixed.params, plain.params[order])
    assert np.array_equal(mixed.value, plain.value[order])
    alone = iso.fit_many(LAW, variables, targets[7:8], objective=OBJECTIVES[name])
    assert np.array_equal(alone.params[0], plain.params[7])


def test_a_start_of_all_ones() -> None:
    """Where SciPy's `curve_fit` starts if it is told nothing, and where it stops far from the minimum."""

    def law(columns: np.ndarray, E: float, A: float, alpha: float, B: float, beta: float) -> np.ndarray:
        return np.asarray(E + A / columns[0] ** alpha + B / columns[1] ** beta)

    columns = np.stack([DATA["N"], DATA["D"]])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", OptimizeWarning)
        trapped, _ = curve_fit(law, columns, DATA["loss"], maxfev=100_000)
    left = float(np.sum((law(columns, *trapped) - DATA["loss"]) ** 2))
    best = iso.fit(LAW, DATA, objective="squared_raw")
    assert left > 2.0 * best.value  # or this is no trap
    for text in (LAW, iso.law(TEXT)):
        fit = iso.fit(text, DATA, objective="squared_raw", starts=np.ones(5))
        assert fit.value == pytest.approx(best.value, rel=1e-10)
        assert params(fit) == pytest.approx(dict(best.params), rel=1e-6)
