"""The language of laws, seen from Python: stable logarithms, and that values, derivatives and fits agree."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax

import isoloss as iso
from isoloss import _core
from isoloss.errors import LawError

exponents = st.floats(-1e4, 1e4)


def derivatives(text, columns, point):
    """Value, gradient and Hessian at one row, by parameter in order of appearance."""
    law = iso.law(text, vars=list(columns))
    core = law.core()
    arrays = [np.array([columns[name]], dtype=np.float64) for name in core.variables]
    value, gradient, hessian = core.derivatives(arrays, np.array([point[name] for name in core.parameters]))
    assert core.evaluate(arrays, np.array([[point[name] for name in core.parameters]]))[0, 0] == value[0]
    return value[0], gradient[0], hessian[0]


@settings(max_examples=150, deadline=None)
@given(st.lists(exponents, min_size=3, max_size=3), st.floats(0.1, 10.0))
def test_log_of_exponentials_is_that_of_scipy_everywhere(u, x):
    text = "log(exp(a) + x * exp(b) + exp(c))"
    value, gradient, hessian = derivatives(text, {"x": x}, dict(zip("abc", u, strict=True)))
    weights = np.array([1.0, x, 1.0])
    assert value == pytest.approx(logsumexp(u, b=weights), rel=1e-14, abs=1e-13)
    share = softmax(np.array(u) + np.log(weights))
    np.testing.assert_allclose(gradient, share, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(hessian, np.diag(share) - np.outer(share, share), rtol=1e-11, atol=1e-13)


@settings(max_examples=100, deadline=None)
@given(st.floats(-5e3, 5e3), st.floats(-5e3, 5e3))
def test_powers_under_a_logarithm_are_exponentials(r, s):
    value, gradient, _ = derivatives("log(3 * x**r + y**s)", {"x": 7.0, "y": 0.4}, {"r": r, "s": s})
    u = np.array([r * np.log(7.0), s * np.log(0.4)])
    assert value == pytest.approx(logsumexp(u, b=[3.0, 1.0]), rel=1e-13, abs=1e-12)
    share = softmax(u + np.log([3.0, 1.0]))
    np.testing.assert_allclose(gradient, share * np.log([7.0, 0.4]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("text", ["log(1 + exp(a * x))", "log1p(exp(a * x))", "softplus(a * x)"])
def test_softplus_in_all_its_spellings(text):
    for u in (-700.0, -40.0, -1e-9, 0.0, 3.0, 800.0):
        value, gradient, _ = derivatives(text, {"x": 2.0}, {"a": u / 2.0})
        assert value == pytest.approx(np.logaddexp(0.0, u), rel=1e-15)
        assert gradient[0] == pytest.approx(2.0 * np.exp(-np.logaddexp(0.0, -u)), rel=1e-14)


def test_a_law_of_exponentials_is_fitted_where_its_text_would_overflow():
    # Approach 3 of Hoffmann et al. (2022) as its code has it, with the losses' logarithm shifted by 1,000.
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e8, 1e11, 6)))
    text = "log(exp(a - alpha * log(N)) + exp(b - beta * log(D)) + exp(e))"
    law = iso.law(text)
    truth = {"a": 1006.0, "alpha": 0.34, "b": 1006.0, "beta": 0.28, "e": 1000.5}
    target = law(N=N, D=D, **truth)
    assert np.isfinite(target).all()
    planted = np.array([truth[name] for name in law.parameters])
    start = planted + np.array([0.3, 0.02, -0.2, -0.02, 0.1])
    table = iso.fit_many(law, {"N": N, "D": D}, target, starts=start, objective="squared")
    assert bool(table.success[0])
    np.testing.assert_allclose(table.params[0], planted, rtol=1e-8)


def test_explain_shows_the_stable_form():
    text = iso.law("log(1 + exp(a - r * log(N)))").explain()
    assert "softplus(" in text


def test_a_root_is_that_of_scipy_and_its_slopes_those_of_differences():
    x, point = 1.3, {"a": 0.7, "b": 2.1}
    text = "root(L, L - x * exp(-a * L) - log(b), 0, 50)"
    value, gradient, hessian = derivatives(text, {"x": x}, point)

    def solved(a, b):
        return brentq(lambda L: L - x * np.exp(-a * L) - np.log(b), 0, 50, xtol=1e-15, rtol=1e-15)

    assert value == pytest.approx(solved(**point), rel=1e-14)
    h = 1e-3
    for j, name in enumerate(point):
        up, down = (derivatives(text, {"x": x}, point | {name: point[name] + s * h}) for s in (1, -1))
        assert gradient[j] == pytest.approx((up[0] - down[0]) / (2 * h), rel=1e-5)
        np.testing.assert_allclose(hessian[j], (up[1] - down[1]) / (2 * h), rtol=1e-5)


def test_rows_without_a_root_are_not_numbers():
    law = iso.law("root(L, L - a * x, 0, 1)", vars=["x"])
    np.testing.assert_array_equal(law(x=[0.5, 2.0, 0.25], a=1.0), [0.5, np.nan, 0.25])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("root(L, N - 1, 0, 1)", "does not hold its unknown 'L'"),
        ("root(L, L - N)", "expected ','"),
        ("root(exp, exp - N, 0, 1)", "it has a meaning"),
        ("root(L, root(L, L - N, 0, 1), 0, 1)", "bound by an enclosing"),
    ],
)
def test_faults_in_roots_are_marked_in_the_text(text, said):
    with pytest.raises(LawError, match=re.escape(said)) as caught:
        iso.law(text)
    assert caught.value.code == "law-syntax"


def test_the_implicit_trajectory_is_fitted_with_intervals():
    # Su et al. (2024): losses of N parameters after S steps at batch B, with constants of Kaplan et al. (2020).
    law = iso.law(
        "root(L, L - (Nc/N)**aN - (Sc*(1 + Bs/(batch*L**(1/aB)))/S)**aS, (Nc/N)**aN, 1e3)",
        vars=["N", "batch", "S"],
        positive=["Nc", "Sc", "Bs", "aN", "aB", "aS"],
        objective="squared_log",
    )
    truth = {"Nc": 6.5e13, "aN": 0.077, "Sc": 2.1e3, "Bs": 2e8, "aB": 0.21, "aS": 0.76}
    random = np.random.default_rng(3)
    ends = {"N": (1e6, 1e9), "batch": (1e4, 1e7), "S": (1e2, 1e6)}
    columns = {name: np.exp(random.uniform(*np.log(pair), 150)) for name, pair in ends.items()}
    loss = law(**columns, **truth) * np.exp(1e-3 * random.standard_normal(150))
    starts = [[truth[name] * factor for name in law.parameters] for factor in (0.8, 1.1)]
    fit = iso.fit(law, {**columns, "loss": loss}, starts=starts)
    assert fit.success
    for name, value in truth.items():
        assert abs(fit.params[name] - value) < 4 * fit.stderr[name]
    draws = fit.bootstrap(50, seed=0)
    low, high = draws.conf_int(0.99)["aS"]
    assert low < 0.76 < high
    assert " = the L from " in law.explain()


def test_an_implicit_law_is_searched_like_any_other():
    bound = iso.law("root(L, L - (a/N)**0.1 - 1/(D*L)**0.2, 1e-3, 1e3)", positive=["a"]).bind(a=1e3)
    N, D = np.geomspace(1e6, 1e9, 13), np.geomspace(1e8, 1e11, 11)
    found = iso.search(bound, {"N": N, "D": D}, where="N * D <= 1e18")
    grid = np.where(N[:, None] * D <= 1e18, bound(N=N[:, None], D=D[None, :]), np.inf)
    assert float(found.best) == grid.min()


@pytest.mark.parametrize(
    "text", ["(x / c)**p", "(c * x)**p", "(c * x)**1.7", "1 / (1 + (x / c)**p)", "exp(-(x / c)**p)"]
)
def test_a_power_is_flat_in_its_scale_where_the_column_is_zero(text):
    """An infinite factor times the zero by which the base changes is zero, in slope and curvature."""
    expression = _core.Expression(text, variables=["x"], constants={})
    point = np.array([{"c": 2.0, "p": 0.7}[name] for name in expression.parameters])
    at_zero = expression.derivatives([np.array([0.0])], point)
    near = expression.derivatives([np.array([1e-200])], point)
    for exact, limit in zip(at_zero, near, strict=True):
        np.testing.assert_allclose(exact, limit, atol=1e-100)


def test_whole_quotients_by_infinity_are_python_s():
    expression = _core.Expression("x // y", variables=["x", "y"], constants={})
    x = np.array([1.0, -1.0, 1.0, -1.0, 0.0, 7.0, -7.0, 5e-324, -5e-324])
    y = np.array([np.inf, np.inf, -np.inf, -np.inf, np.inf, 2.0, 2.0, np.inf, np.inf])
    found = expression.evaluate([x, y], np.zeros(0))
    np.testing.assert_array_equal(found[0], [a // b for a, b in zip(x.tolist(), y.tolist(), strict=True)])
