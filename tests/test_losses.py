"""Losses beyond the common three: formulas, SciPy from the same starts, error bars, widths from the data."""

import json
import math

import numpy as np
import pytest
from scipy import optimize, special

import isoloss as iso
from isoloss.engine.autodelta import robust_sigma
from isoloss.errors import DataError, OptionError
from isoloss.objective import (
    AsymmetricHuber,
    Binomial,
    Cauchy,
    Expectile,
    Huber,
    LogCosh,
    Objective,
    Quantile,
    SoftL1,
    SquaredError,
    resolve,
)

WIDE = [Huber, SoftL1, Cauchy, LogCosh]


def every(space, delta=0.05):
    """One of each loss that has residuals."""
    return [
        *(kind(delta, space=space) for kind in WIDE),
        AsymmetricHuber(delta, over=3.0, space=space),
        Expectile(4.0, space=space),
        Quantile(0.2, space=space),
        SquaredError(space=space),
    ]


ALL = [objective for space in ("raw", "log", "logit") for objective in every(space)]


def sample(seed=0, n=40, noise=0.02):
    """Losses between 0 and 1 that follow a power law with an offset, with a few outliers."""
    rng = np.random.default_rng(seed)
    N = np.geomspace(1.0, 300.0, n)
    loss = (0.2 + 0.5 / N**0.4) * np.exp(noise * rng.standard_normal(n))
    loss[rng.choice(n, 3, replace=False)] *= 1.15
    return N, loss


@pytest.mark.parametrize("objective", [*ALL, Binomial()], ids=lambda o: o.name)
def test_names_and_plain_data_come_back(objective):
    assert Objective.from_dict(json.loads(json.dumps(objective.to_dict()))) == objective
    assert resolve(objective.name, delta=objective.delta or None) == objective


def test_smooth_losses_are_scipys_up_to_the_half():
    # SciPy: cost = 1/2 sum f_scale^2 rho((f / f_scale)^2).
    delta, r = 0.3, np.linspace(-2, 2, 41)
    z = (r / delta) ** 2
    for objective, rho in [(SoftL1(delta), 2 * (np.sqrt(1 + z) - 1)), (Cauchy(delta), np.log1p(z))]:
        np.testing.assert_allclose(objective.rho(r), 0.5 * delta**2 * rho, rtol=1e-12, atol=1e-17)
    np.testing.assert_allclose(Huber(delta).rho(r), special.huber(delta, r), rtol=1e-12)
    np.testing.assert_allclose(SoftL1(delta).rho(r), special.pseudo_huber(delta, r), rtol=1e-12, atol=1e-17)
    np.testing.assert_allclose(LogCosh(delta).rho(r), delta**2 * np.log(np.cosh(r / delta)), rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("kind", WIDE)
def test_robust_losses_are_half_squares_near_zero_and_do_not_overflow_far_away(kind):
    assert float(kind(1.0).rho(np.array(1e-9))) == pytest.approx(0.5e-18, rel=1e-6)
    assert np.isfinite(kind(1e-3).rho(np.array([-1e6, 1e6]))).all()


def test_sides_and_quantiles():
    r = np.array([-2.0, 2.0])
    assert Quantile(0.25).rho(r).tolist() == [0.5, 1.5]
    assert Expectile(3.0).rho(r).tolist() == [2.0, 6.0]
    assert AsymmetricHuber(0.5, over=3.0).rho(r).tolist() == [0.875, 2.625]
    assert AsymmetricHuber(0.5, over=1.0).rho(r).tolist() == Huber(0.5).rho(r).tolist()


def test_binomial_is_the_log_likelihood_less_its_maximum():
    from scipy import stats

    passed, trials, m = np.array([0, 3, 7, 10]), np.array([10, 10, 9, 10]), np.array([0.1, 0.4, 0.5, 0.9])
    with np.errstate(divide="ignore"):
        expected = stats.binom.logpmf(passed, trials, passed / trials) - stats.binom.logpmf(passed, trials, m)
    assert Binomial().value(m, passed / trials, trials) == pytest.approx(expected.sum(), rel=1e-12)
    with pytest.raises(DataError, match="row 1"):
        Binomial().value([0.5, 1.0], [0.5, 0.5])


@pytest.mark.parametrize("objective", [o for o in ALL if o.kind != "quantile"], ids=lambda o: o.name)
def test_slopes_are_the_derivatives(objective):
    target = np.full(9, 0.5)
    prediction = np.array([0.2, 0.43, 0.49, 0.499, 0.501, 0.51, 0.57, 0.7, 0.9])
    first, second = objective.slopes(prediction, target)
    r, h = objective.residuals(prediction, target), 1e-6
    np.testing.assert_allclose(first, (objective.rho(r + h) - objective.rho(r - h)) / (2 * h), rtol=1e-6, atol=1e-9)
    above, below = (objective._slopes(r + s * h)[0] for s in (1, -1))
    np.testing.assert_allclose(second, (above - below) / (2 * h), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Quantile(0.0),
        lambda: Quantile(1.0),
        lambda: Expectile(0.0),
        lambda: Expectile(math.inf),
        lambda: AsymmetricHuber(over=-1.0),
        lambda: Cauchy("wide"),
        lambda: Cauchy(-1.0),
        lambda: SoftL1(space="cube"),
        lambda: Binomial(space="log"),
        lambda: resolve("quantile_log"),
        lambda: resolve("huber_log:3"),
        lambda: resolve("cauchy_lag"),
        lambda: resolve("binomial", delta=0.1),
        lambda: Objective.from_dict({"kind": "quantile", "space": "log"}),
        lambda: Objective.from_dict({"kind": "nothing", "space": "log"}),
    ],
)
def test_wrong_objectives_are_refused(wrong):
    with pytest.raises(OptionError) as caught:
        wrong()
    assert caught.value.code == "objective-unknown"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("objective", ALL, ids=lambda o: o.name)
def test_scipy_from_the_same_starts_finds_nothing_better(objective, seed):
    N, loss = sample(seed)
    law = iso.law("E + A / N**alpha", positive=["E", "A"])
    starts = np.array([[0.2, 0.4, 0.3], [0.1, 0.5, 0.8], [0.25, 0.3, 0.5]])
    found = iso.fit(law, {"N": N, "loss": loss}, objective=objective, starts=starts)
    assert found.success
    assert found.value == pytest.approx(objective.value(found.predict(N=N), loss), rel=1e-10)

    def value(q):
        m = np.exp(q[0]) + np.exp(q[1]) * N ** -q[2]
        total = np.sum(objective.losses(m, loss))
        return total if np.isfinite(total) else 1e9

    best = math.inf
    for E, A, alpha in starts:
        q = np.array([np.log(E), np.log(A), alpha])
        for method in ("BFGS", "Nelder-Mead"):
            q = optimize.minimize(value, q, method=method, options={"maxiter": 2000}).x
        best = min(best, value(q))
    assert found.value <= best * (1 + 1e-8)


@pytest.mark.parametrize(
    ("objective", "loss"), [(SoftL1(0.02, space="raw"), "soft_l1"), (Cauchy(0.02, space="raw"), "cauchy")]
)
def test_least_squares_of_scipy_has_the_same_optimum(objective, loss):
    N, y = sample(4)
    found = iso.fit(iso.law("E + A / N**alpha", positive=["E", "A"]), {"N": N, "loss": y}, objective=objective)
    other = optimize.least_squares(
        lambda q: q[0] + q[1] * N ** -q[2] - y,
        [0.2, 0.5, 0.4],
        loss=loss,
        f_scale=0.02,
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    assert found.value <= other.cost * (1 + 1e-9)
    np.testing.assert_allclose(list(found.params.values()), other.x, rtol=1e-5)


def test_a_quantile_has_its_share_of_runs_below():
    N, loss = sample(1, n=200)
    for tau in (0.1, 0.5, 0.9):
        found = iso.fit("E + A / N**alpha", {"N": N, "loss": loss}, objective=Quantile(tau))
        below = np.mean(found.residuals > 1e-12)
        assert abs(below - tau) <= 3 / 200


def test_dearer_over_prediction_lowers_the_law():
    N, loss = sample(2, n=100)
    data = {"N": N, "loss": loss}
    means = [iso.fit("E + A / N**alpha", data, objective=Expectile(k)).residuals.mean() for k in (0.2, 1.0, 5.0)]
    assert means[0] > means[1] > means[2]


def pass_counts(seed=0, n=60):
    rng = np.random.default_rng(seed)
    N = np.geomspace(1.0, 100.0, n)
    trials = rng.integers(5, 60, n)
    passed = rng.binomial(trials, special.expit(-1.0 + 1.2 * np.log(N)))
    return N, passed / trials, trials


def test_binomial_takes_trials_as_weights_and_finds_the_maximum_likelihood():
    N, rate, trials = pass_counts()
    assert (rate == 1.0).any()  # the ends of the range are data, too
    law = iso.law("expit(a + b * log(N))")
    runs = iso.read({"N": N, "rate": rate, "n": trials}, N="N", loss="rate", trials="n")
    found = iso.fit(law, runs, objective=Binomial())
    as_weights = iso.fit(law, {"N": N, "loss": rate}, objective="binomial", weights=trials)
    assert found.params == as_weights.params
    best = optimize.minimize(
        lambda q: Binomial().value(special.expit(q[0] + q[1] * np.log(N)), rate, trials), [0.0, 0.5], method="BFGS"
    )
    assert found.value <= best.fun * (1 + 1e-8)
    # Model-based and sandwich errors agree when the model is right; the information of a logit law is textbook.
    m = found.predict(N=N)
    X = np.column_stack([np.ones_like(N), np.log(N)])
    information = (X * (trials * m * (1 - m))[:, None]).T @ X
    textbook = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(list(found.stderr.values()), textbook, rtol=0.4)
    assert iso.objective.Binomial().describe() in found.summary()


def test_binomial_refuses_what_is_no_fraction():
    with pytest.raises(DataError, match="from 0 to 1") as caught:
        iso.fit("expit(a + b * log(N))", {"N": [1.0, 2.0, 3.0], "loss": [0.5, 1.2, 0.1]}, objective="binomial")
    assert caught.value.details["row"] == 1


@pytest.mark.parametrize("objective", [o for o in every("log", 0.03) if o.kind != "quantile"], ids=lambda o: o.name)
def test_error_bars_agree_with_the_bootstrap(objective):
    N, loss = sample(3, n=300)
    found = iso.fit(iso.law("E + A / N**alpha", positive=["E", "A"]), {"N": N, "loss": loss}, objective=objective)
    assert found.cov is not None
    drawn = found.bootstrap(600, seed=1).params.std(axis=0)
    np.testing.assert_allclose(list(found.stderr.values()), drawn, rtol=0.25)


def test_quantiles_have_no_error_bars_from_curvature():
    N, loss = sample()
    found = iso.fit("E + A / N**alpha", {"N": N, "loss": loss}, objective=Quantile(0.3))
    assert found.cov is None
    assert "bootstrap" in found.cov_reason


# delta="auto" --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["raw", "log", "logit"])
@pytest.mark.parametrize("kind", [*WIDE, AsymmetricHuber])
def test_auto_delta_is_a_fixed_point(kind, space):
    N, loss = sample(5, n=80)
    asked = kind("auto", space=space, over=2.0) if kind is AsymmetricHuber else kind("auto", space=space)
    found = iso.fit("E + A / N**alpha", {"N": N, "loss": loss}, objective=asked)
    assert found.success
    delta = found.objective.delta
    assert delta == pytest.approx(1.345 * robust_sigma(found.residuals), rel=2e-5)
    fixed = iso.fit("E + A / N**alpha", {"N": N, "loss": loss}, objective=resolve(asked, delta=delta))
    np.testing.assert_allclose(fixed.vector, found.vector, rtol=1e-8)
    assert found.rerun().params == found.params
    assert f"{delta:.6g}" in found.summary()
    assert "delta auto" in found.summary()


def test_auto_delta_is_kept_in_files_and_draws(tmp_path):
    N, loss = sample(5)
    found = iso.fit("E + A / N**alpha", {"N": N, "loss": loss}, objective="huber_log", delta="auto")
    found.save(tmp_path / "fit.json")
    again = iso.load(tmp_path / "fit.json")
    assert again.objective == found.objective
    assert again.settings.objective == Huber("auto")
    assert again.rerun().value == found.value
    assert np.array_equal(again.bootstrap(50, seed=3).params, found.bootstrap(50, seed=3).params)


def test_auto_delta_scales_with_the_data():
    N, loss = sample(6)
    small, large = (
        iso.fit("E + A / N**alpha", {"N": N, "loss": s * loss}, objective=Huber("auto", space="raw")) for s in (1, 1e6)
    )
    assert large.objective.delta == pytest.approx(1e6 * small.objective.delta, rel=1e-5)


def test_auto_delta_of_exact_data_is_at_its_floor():
    N = np.geomspace(1.0, 100.0, 12)
    found = iso.fit("E + A / N**alpha", {"N": N, "loss": 2 + 3 / N**0.5}, objective=Huber("auto"))
    assert found.success
    assert 0 < found.objective.delta < 1e-7
    assert [notice.code for notice in found.warnings if notice.code.startswith("delta")] == ["delta-at-floor"]
    np.testing.assert_allclose(list(found.params.values()), [2, 3, 0.5], rtol=1e-7)


def test_auto_delta_of_constant_losses_is_positive():
    found = iso.fit("E + 0 * N", {"N": [1.0, 2.0, 3.0, 4.0], "loss": [2.0] * 4}, objective=Huber("auto"))
    assert found.objective.delta > 0
    assert found.params["E"] == pytest.approx(2.0)


def test_auto_delta_ignores_rows_without_weight():
    N, loss = sample(7)
    weights = np.ones_like(N)
    weights[::5] = 0.0
    spoiled = np.where(weights > 0, loss, 9.0)
    kept = weights > 0
    one = iso.fit("E + A / N**alpha", {"N": N, "loss": spoiled}, objective=Huber("auto"), weights=weights)
    two = iso.fit("E + A / N**alpha", {"N": N[kept], "loss": loss[kept]}, objective=Huber("auto"))
    assert one.objective.delta == pytest.approx(two.objective.delta, rel=1e-6)


def test_auto_delta_has_no_value_before_a_fit():
    with pytest.raises(OptionError) as caught:
        Huber("auto").value([1.0], [2.0])
    assert caught.value.code == "objective-delta"
    with pytest.raises(OptionError):
        iso.fit("E + A / N**alpha", {"N": [1.0, 2, 3, 4], "loss": [4.0, 3, 2, 1]}, objective="squared", delta="auto")


def test_robust_sigma_is_the_scaled_mad_and_weights_count_repeats():
    rng = np.random.default_rng(0)
    for n in range(1, 30):
        values, counts = rng.integers(0, 9, n).astype(float), rng.integers(0, 4, n)
        counts[0] += 1
        repeated = np.repeat(values, counts)
        spread = np.median(np.abs(repeated - np.median(repeated)))
        assert robust_sigma(repeated) == pytest.approx(
            spread / 0.6744897501960817, rel=1e-14
        )  # the normal 3/4 quantile
        assert robust_sigma(values, counts.astype(float)) == robust_sigma(repeated)
    assert np.isnan(robust_sigma(np.array([1.0, np.inf, 2.0])))


def test_losses_and_auto_delta_from_the_command_line(tmp_path, capsys):
    from isoloss.cli import main

    N, loss = sample(5)
    rows = "\n".join(f"{x!r},{y!r}" for x, y in zip(N.tolist(), loss.tolist(), strict=True))
    (tmp_path / "runs.csv").write_text(f"N,loss\n{rows}\n")
    call = ["fit", str(tmp_path / "runs.csv"), "--law", "E + A / N**alpha", "--json"]
    assert main([*call, "--objective", "cauchy_log", "--delta", "auto"]) == 0
    found = json.loads(capsys.readouterr().out)["objective"]
    expected = iso.fit("E + A / N**alpha", {"N": N, "loss": loss}, objective=Cauchy("auto"))
    assert found == expected.objective.to_dict()
    assert main([*call, "--objective", "quantile_log:0.2"]) == 0
    assert json.loads(capsys.readouterr().out)["objective"]["tau"] == 0.2


# Trials behind pass fractions ------------------------------------------------------------------------------------


def test_a_column_of_trials_is_taken_by_its_name_and_missing_ones_are_told_of():
    k = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    fraction = np.array([0.05, 0.09, 0.2, 0.3, 0.55])
    trials = np.array([1000.0, 10.0, 10.0, 1000.0, 10.0])
    law = iso.law("1 - exp(-a * k**b)", vars=["k"], positive=["a", "b"])
    named = iso.fit(law, iso.read({"k": k, "loss": fraction, "trials": trials}, k="k"), objective="binomial")
    weighted = iso.fit(law, iso.read({"k": k, "loss": fraction}, k="k"), objective="binomial", weights=trials)
    assert named.params == weighted.params
    assert "no-trials" not in [notice.code for notice in (*named.warnings, *weighted.warnings)]
    bare = iso.fit(law, iso.read({"k": k, "loss": fraction}, k="k"), objective="binomial")
    assert bare.params != named.params
    assert "no-trials" in [notice.code for notice in bare.warnings]
