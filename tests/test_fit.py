"""Fits: what comes out, what is refused, and what deserves a warning."""

from itertools import pairwise

import numpy as np
import pytest

import isoloss as iso
from isoloss.engine.status import Status
from isoloss.errors import CODES, DataError, LawError, OptionError
from isoloss.laws.compute_optimal import hoffmann_starts

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1500.0, "beta": 0.36}


def grid(noise=0.0, seed=0, levels=6):
    """Runs on a grid of N and D with losses from the truth."""
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, levels), np.geomspace(1e9, 1e12, levels)))
    loss = iso.laws.get("chinchilla").bind(TRUTH)(N=N, D=D)
    return {"N": N, "D": D, "loss": loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(N)))}


def refused(kind, code, *args, **kwargs):
    with pytest.raises(kind) as caught:
        iso.fit(*args, **kwargs)
    assert caught.value.code == code
    assert code in CODES
    return str(caught.value)


@pytest.mark.parametrize(
    "objective", ["huber_log", "huber_raw", "squared_log", "squared_raw", "absolute_log", "absolute_raw"]
)
def test_the_truth_is_recovered_from_losses_without_noise(objective):
    fit = iso.fit("chinchilla", grid(), objective=objective)
    assert fit.success
    assert fit.status in tuple(Status)
    for name, value in TRUTH.items():
        assert fit.params[name] == pytest.approx(value, rel=1e-5), name


def test_parameters_come_in_the_order_of_the_law():
    fit = iso.fit("chinchilla", grid(0.01), objective="squared_log")
    assert list(fit.params) == list(fit.law.parameters) == list(fit.names)
    assert fit.cov.shape == (5, 5)
    assert fit.vector.tolist() == list(fit.params.values())


def test_accuracies_are_fitted_in_logit_space():
    x = np.geomspace(1.0, 100.0, 20)
    accuracy = 1.0 / (1.0 + np.exp(-(0.4 * np.log(x) - 1.0)))
    law = iso.law("expit(k * log(x) - c)", vars=["x"])
    fit = iso.fit(law, iso.read({"x": x, "loss": accuracy}, x="x"), objective=iso.SquaredError("logit"))
    assert fit.params["k"] == pytest.approx(0.4, rel=1e-6)
    assert fit.params["c"] == pytest.approx(1.0, rel=1e-6)


def test_a_law_may_be_given_as_text():
    fit = iso.fit(
        "E + A / N**alpha",
        {"N": np.geomspace(1e6, 1e9, 9), "D": [1.0] * 9, "loss": 2 + 9e6 / np.geomspace(1e6, 1e9, 9)},
    )
    assert fit.params["alpha"] == pytest.approx(1.0, rel=1e-4)
    assert fit.law.name == "E + A / N**alpha"


def test_all_three_ways_to_give_starts_end_at_the_same_optimum():
    data = grid(0.01)
    best = iso.fit("chinchilla", data).value
    for starts in (
        8,
        {"alpha": [0.2, 0.5], "beta": [0.3]},
        list(TRUTH.values()),
        [list(TRUTH.values())] * 2,
        {"E": 1.0, "alpha": 0.4},
    ):
        assert iso.fit("chinchilla", data, starts=starts).value == pytest.approx(best, rel=1e-9)


def test_the_number_of_starts_is_what_was_asked():
    data = grid(0.01)
    assert iso.fit("chinchilla", data, starts=7).basins.starts == 7
    assert iso.fit("chinchilla", data, starts={"alpha": [0.2, 0.5], "beta": [0.3, 0.4, 0.5]}).basins.starts == 6
    assert iso.fit("chinchilla", data, starts=hoffmann_starts()[:10]).basins.starts == 10


def test_the_result_depends_on_neither_threads_nor_the_order_of_equal_seeds():
    data = grid(0.02)
    one, two = (iso.fit("chinchilla", data, starts=20, seed=4, n_threads=k) for k in (1, 2))
    assert one.params == two.params
    assert one.value == two.value
    generator = iso.fit("chinchilla", data, starts=20, seed=np.random.default_rng(4))
    assert generator.value == pytest.approx(one.value, rel=1e-9)
    assert generator.settings.seed == iso.fit("chinchilla", data, seed=np.random.default_rng(4)).settings.seed


def test_fixed_parameters_stay_and_tied_ones_are_equal():
    data = grid(0.01)
    fit = iso.fit("chinchilla", data, objective="squared_log", fix={"E": 1.69}, tie={"beta": "alpha"})
    assert fit.params["E"] == 1.69
    assert fit.params["beta"] == fit.params["alpha"]
    assert fit.stderr["E"] == 0.0
    assert fit.stderr["beta"] == pytest.approx(fit.stderr["alpha"])
    free = iso.fit(
        iso.law("1.69 + A / N**alpha + B / D**alpha", positive=["A", "B"], bounds={"alpha": (0, 2)}),
        data,
        objective="squared_log",
    )
    assert fit.value == pytest.approx(free.value, rel=1e-9)
    assert fit.params["alpha"] == pytest.approx(free.params["alpha"], rel=1e-6)


def test_a_value_to_fix_may_lie_outside_the_bounds_of_the_law():
    assert iso.fit("chinchilla", grid(0.01), fix={"alpha": 2.5}).params["alpha"] == 2.5


def test_bounds_of_a_fit_replace_those_of_the_law_and_hits_are_told():
    bounds = {"alpha": (0.0, 0.3), "E": (0.0, "min_loss")}
    fit = iso.fit("chinchilla", grid(0.01), objective="squared_log", bounds=bounds)
    assert fit.params["alpha"] == pytest.approx(0.3, rel=1e-12)
    assert fit.at_bound == {"alpha": 1}
    notice = next(n for n in fit.warnings if n.code == "at-bound")
    assert notice.details["parameter"] == "alpha"
    assert np.isnan(fit.stderr["alpha"])
    assert np.isfinite(fit.stderr["beta"])


def test_weights_count_runs():
    data = grid(0.02)
    doubled = {name: np.concatenate([column, column[:5]]) for name, column in data.items()}
    weights = np.ones(len(data["N"]))
    weights[:5] = 2.0
    by_weight = iso.fit("chinchilla", data, weights=weights)
    by_row = iso.fit("chinchilla", doubled)
    assert by_weight.value == pytest.approx(by_row.value, rel=1e-9)
    named = iso.fit("chinchilla", iso.read({**data, "w": weights}, weights="w"))
    assert named.value == by_weight.value
    as_column = iso.fit("chinchilla", iso.read({**data, "w": weights}, w="w"), weights="w")
    assert as_column.value == by_weight.value


def test_runs_of_weight_zero_are_absent():
    data = grid(0.02)
    weights = np.ones(len(data["N"]))
    weights[::4] = 0.0
    kept = {name: column[weights > 0] for name, column in data.items()}
    zeroed = iso.fit("chinchilla", data, weights=weights, objective="squared_log")
    removed = iso.fit("chinchilla", kept, objective="squared_log")
    assert zeroed.value == pytest.approx(removed.value, rel=1e-9)
    assert zeroed.n == removed.n == int(weights.sum())
    np.testing.assert_allclose(zeroed.cov, removed.cov, rtol=1e-3)


def test_pivots_are_taken_from_the_data():
    data = grid(0.01)
    law = iso.law(
        "E + A * (N/N0)**-alpha + B * (D/D0)**-beta",
        positive=["E", "A", "B"],
        bounds={"alpha": (0, 2), "beta": (0, 2)},
        pivots={"N0": "geomean", "D0": "geomean"},
    )
    pivoted, plain = iso.fit(law, data), iso.fit("chinchilla", data)
    assert pivoted.value == pytest.approx(plain.value, rel=1e-9)
    N0 = np.exp(np.mean(np.log(data["N"])))
    assert pivoted.params["A"] == pytest.approx(plain.params["A"] / N0 ** plain.params["alpha"], rel=1e-4)
    assert pivoted.predict(N=1e9, D=1e11) == pytest.approx(plain.predict(N=1e9, D=1e11), rel=1e-6)


# Judging the result -------------------------------------------------------------------------------------------------


def test_the_covariance_agrees_with_the_spread_over_repeated_studies():
    fits = [iso.fit("chinchilla", grid(0.005, seed=k), objective="squared_log") for k in range(200)]
    # Amplitudes spread log-normally: compare relative errors.
    spread = np.log([fit.vector for fit in fits]).std(axis=0)
    errors = np.median([np.sqrt(np.diag(fit.cov)) / fit.vector for fit in fits], axis=0)
    assert errors == pytest.approx(spread, rel=0.2)


def test_the_covariance_is_the_sandwich_of_its_formula():
    data = grid(0.01)
    fit = iso.fit("chinchilla", data, objective=iso.SquaredError("raw"))
    value, J, H = fit.problem.expression.derivatives(fit.problem.columns, fit.vector)
    r = value - data["loss"]
    bread = np.einsum("ni,nj->ij", J, J) + np.einsum("n,nij->ij", r, H)
    meat = np.einsum("n,ni,nj->ij", r**2, J, J)
    inverse = np.linalg.inv(bread)
    expected = inverse @ meat @ inverse * len(r) / (len(r) - 5)
    np.testing.assert_allclose(fit.cov, expected, rtol=1e-4)
    assert np.diag(fit.correlations) == pytest.approx(np.ones(5))


def test_groups_widen_the_covariance_when_runs_share_their_noise():
    data = grid(0.0)
    repeated = {name: np.repeat(column, 10) for name, column in data.items()}
    offsets = np.repeat(0.01 * np.random.default_rng(1).standard_normal(len(data["N"])), 10)
    repeated["loss"] = repeated["loss"] * np.exp(offsets)
    repeated["run"] = np.repeat(np.arange(len(data["N"])), 10)
    grouped = iso.fit("chinchilla", iso.read(repeated, group="run"), objective="squared_log")
    naive = iso.fit("chinchilla", iso.read({k: v for k, v in repeated.items() if k != "run"}), objective="squared_log")
    assert grouped.params == naive.params
    ratio = grouped.stderr["alpha"] / naive.stderr["alpha"]
    assert ratio == pytest.approx(np.sqrt(10.0), rel=0.1)
    assert grouped.covariance.kind == "cluster-robust sandwich"


@pytest.mark.parametrize(
    ("objective", "words"),
    [(iso.AbsoluteError("log"), "bootstrap"), (iso.Huber(1e-6), "lie within delta")],
)
def test_a_covariance_without_curvature_is_refused_with_the_reason(objective, words):
    fit = iso.fit("chinchilla", grid(0.02), objective=objective)
    assert fit.cov is None
    assert words in fit.cov_reason
    assert all(np.isnan(list(fit.stderr.values())))
    assert "covariance-unavailable" in {notice.code for notice in fit.warnings}


def test_the_census_counts_every_start():
    fit = iso.fit("chinchilla", grid(0.02), starts=hoffmann_starts()[::10], objective="squared_log")
    basins = fit.basins
    assert basins.starts == 450
    assert sum(o.count for o in basins.optima) + basins.failed <= 450
    assert basins.optima[0].value == fit.value
    assert basins.optima[0].params == fit.params
    values = [o.value for o in basins.optima]
    assert values == sorted(values)
    assert all(b > a * (1 + 1e-6) for a, b in pairwise(values))
    assert 0.0 < basins.share <= 1.0


def test_a_rival_optimum_is_told():
    # c and -c would be equally good but for the last, small term.
    x = np.linspace(0.5, 2.0, 30)
    law = iso.law("(c**2 - 4)**2 * x + 0.001 * c", vars=["x"])
    loss = 0.5 + 0.3 * np.random.default_rng(0).standard_normal(30)
    runs = iso.read({"x": x, "loss": loss}, x="x")
    fit = iso.fit(law, runs, objective=iso.SquaredError("raw"), starts=[[2.1], [-2.1]])
    assert fit.basins.distinct == 2
    assert 0.0 < fit.basins.gap < 0.01
    notice = next(n for n in fit.warnings if n.code == "rival-optimum")
    assert notice.details["params"]["c"] == pytest.approx(-fit.params["c"], rel=0.02)
    alone = iso.fit(law, runs, objective=iso.SquaredError("raw"), starts=[[2.1]])
    assert "rival-optimum" not in {notice.code for notice in alone.warnings}


def test_a_fit_that_cannot_start_is_a_status_and_not_an_exception():
    law = iso.law("log(A) + 0 * N", vars=["N"])
    fit = iso.fit(law, {"N": [1.0, 2.0, 3.0], "D": [1.0] * 3, "loss": [1.0, 1.0, 1.0]}, starts=[[-1.0]])
    assert not fit.success
    assert not fit.status.success
    assert "fit-failed" in {notice.code for notice in fit.warnings}
    assert "NOT STARTED" in fit.summary()


# Prediction ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    data = grid(0.01)
    source = {"params": data["N"], "tokens": data["D"], "val": data["loss"]}
    return iso.fit("chinchilla", iso.read(source, N="params", D="tokens", loss="val"))


def test_predictions_broadcast(fitted):
    assert isinstance(fitted.predict(N=70e9, D=1.4e12), float)
    table = fitted.predict(N=np.array([1e9, 1e10])[:, None], D=np.array([1e10, 1e11, 1e12]))
    assert table.shape == (2, 3)
    assert table[1, 2] == fitted.predict(N="10B", D="1T")
    assert fitted.predict(N=70e9, C=6 * 70e9 * 1.4e12) == pytest.approx(fitted.predict(N=70e9, D=1.4e12))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_the_frame_that_comes_in_goes_out(fitted, library):
    module = pytest.importorskip(library)
    columns = {"params": [1e9, 7e9], "tokens": [2e10, 1.4e11], "note": ["a", "b"]}
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    out = fitted.predict(frame)
    assert type(out) is type(frame)
    assert np.asarray(out["loss_pred"]) == pytest.approx(fitted.predict(N=columns["params"], D=columns["tokens"]))
    assert list(out["note"]) == list(frame["note"])
    assert "loss_pred" not in (frame.column_names if library == "pyarrow" else frame.columns)


def test_frames_may_use_the_names_of_the_roles_and_complete_each_other(fitted):
    out = fitted.predict({"N": [1e9], "C": [6 * 1e9 * 2e10]})
    assert out["loss_pred"] == pytest.approx([fitted.predict(N=1e9, D=2e10)])
    assert fitted.predict(fitted.runs) == pytest.approx(fitted.problem.predict(fitted.vector)[0])


def test_predictions_refuse_what_is_missing_or_wrong(fitted):
    with pytest.raises(LawError) as caught:
        fitted.predict(N=1e9)
    assert caught.value.code == "law-missing-name"
    with pytest.raises(DataError, match="tokens") as caught:
        fitted.predict({"params": [1e9]})
    assert caught.value.code == "data-missing-column"
    with pytest.raises(DataError, match=r"'tokens', row 1") as caught:
        fitted.predict({"params": [1e9, 1e9], "tokens": [1e10, np.nan]})
    assert caught.value.code == "data-nonfinite"
    with pytest.raises(OptionError):
        fitted.predict({"params": [1e9], "tokens": [1e10]}, N=1e9)


# Refusals -----------------------------------------------------------------------------------------------------------


def test_unknown_laws_are_refused_with_the_nearest_names():
    assert "'chinchilla'" in refused(LawError, "law-unknown", "chincilla", grid())


def test_malformed_texts_are_refused_with_the_position():
    message = refused(LawError, "law-syntax", "E + A / N**", grid())
    assert "position 11" in message


@pytest.mark.parametrize("argument", ["fix", "tie", "bounds", "starts"])
def test_unknown_parameters_are_refused_with_the_nearest_names(argument):
    given = {"fix": {"alpa": 0.3}, "tie": {"alpa": "beta"}, "bounds": {"alpa": (0, 1)}, "starts": {"alpa": [0.3]}}[
        argument
    ]
    message = refused(LawError, "law-unknown-name", "chinchilla", grid(), **{argument: given})
    assert argument in message
    assert "'alpa'" in message
    assert "did you mean 'alpha'" in message


def test_ties_to_unknown_names_and_in_circles_are_refused():
    assert "'betta'" in refused(LawError, "law-unknown-name", "chinchilla", grid(), tie={"alpha": "betta"})
    assert "circle" in refused(LawError, "law-bounds", "chinchilla", grid(), tie={"alpha": "beta", "beta": "alpha"})
    assert "both fixed and tied" in refused(
        LawError, "law-bounds", "chinchilla", grid(), tie={"alpha": "beta"}, fix={"alpha": 0.3}
    )


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_positive_parameters_cannot_be_fixed_at_or_below_zero(value):
    assert "'E'" in refused(LawError, "law-bounds", "chinchilla", grid(), fix={"E": value})


def test_bounds_that_leave_no_room_are_refused():
    refused(LawError, "law-bounds", "chinchilla", grid(), bounds={"alpha": (1.0, 0.5)})
    refused(
        LawError,
        "law-bounds",
        "chinchilla",
        grid(),
        tie={"beta": "alpha"},
        bounds={"alpha": (0, 0.3), "beta": (0.4, 1)},
    )


@pytest.mark.parametrize(
    "starts",
    [[1.0, 2.0], [[1.0] * 4], {"E": []}, [[-1.0, 1.0, 0.3, 1.0, 0.3]], [[np.inf, 1.0, 0.3, 1.0, 0.3]], {"A": [0.0]}],
)
def test_starts_that_cannot_be_used_are_refused(starts):
    refused(LawError, "law-starts", "chinchilla", grid(), starts=starts)


@pytest.mark.parametrize("starts", [0, -3, "many"])
def test_nonsense_starts_are_refused(starts):
    refused(OptionError, "option", "chinchilla", grid(), starts=starts)


def test_fewer_distinct_points_than_parameters_are_refused():
    data = {"N": [1e8, 1e9, 1e8, 1e9, 1e8], "D": [1e9, 1e9, 1e10, 1e10, 1e9], "loss": [3.0, 2.9, 2.8, 2.7, 3.1]}
    message = refused(DataError, "data-too-few-points", "chinchilla", data)
    assert "4 distinct points" in message
    assert "5 free parameters" in message
    assert iso.fit("chinchilla", data, fix={"E": 1.5}).params["E"] == 1.5
    weights = [1.0, 1.0, 1.0, 0.0, 1.0]
    refused(DataError, "data-too-few-points", "chinchilla", data, fix={"E": 1.5}, weights=weights)


def test_missing_variables_and_losses_are_refused_by_name():
    assert "'D'" in refused(DataError, "data-missing-role", "chinchilla", {"N": [1e8], "loss": [3.0]})
    assert "'loss'" in refused(DataError, "data-missing-role", "chinchilla", {"N": [1e8], "D": [1e9]})


def test_losses_outside_the_space_are_refused_by_row_and_value():
    data = grid()
    data["loss"][7] = -0.5
    message = refused(DataError, "data-nonpositive", "chinchilla", data)
    assert "row 7" in message
    assert "-0.5" in message
    assert iso.fit("chinchilla", data, objective="huber_raw").n == len(data["N"])
    assert "between 0 and 1" in refused(DataError, "data-nonpositive", "chinchilla", grid(), objective="huber_logit")


@pytest.mark.parametrize(
    ("weights", "code"),
    [([1.0, 2.0], "data-shape"), ("nope", "data-missing-column"), (-np.ones(36), "data-negative-weight")],
)
def test_weights_that_cannot_be_used_are_refused(weights, code):
    refused(DataError, code, "chinchilla", grid(), weights=weights)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_nonsense_seeds_are_refused(seed):
    refused(OptionError, "option", "chinchilla", grid(), seed=seed)


def test_the_callers_arrays_are_neither_kept_nor_changed():
    data = grid(0.01)
    before = {name: column.copy() for name, column in data.items()}
    starts = np.array([list(TRUTH.values())])
    fit = iso.fit("chinchilla", data, starts=starts)
    for name, column in before.items():
        np.testing.assert_array_equal(data[name], column)
    starts[:] = 1e9
    data["loss"][:] = 1.0
    assert fit.rerun().params == fit.params


def test_progress_is_reported():
    seen = []
    iso.fit("chinchilla", grid(0.01), starts=hoffmann_starts(), progress=lambda done, total: seen.append((done, total)))
    assert all(0 <= done <= total == 4500 for done, total in seen)
    assert seen == sorted(seen)
    assert seen[-1] == (4500, 4500)


def test_runs_may_be_anything_that_can_be_read(tmp_path):
    x = np.geomspace(1.0, 100.0, 12)
    law = iso.law("E + A / x**a", vars=["x"], positive=["E", "A"], bounds={"a": (0, 2)})
    loss = law(x=x, E=1.0, A=3.0, a=0.5)
    path = tmp_path / "runs.csv"
    path.write_text("x,loss\n" + "\n".join(f"{float(a)!r},{float(b)!r}" for a, b in zip(x, loss, strict=True)))
    for source in ({"x": x, "loss": loss}, path, str(path), iso.read(path, x="x")):
        assert iso.fit(law, source).params["a"] == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("text", ["E + A * exp(-(t / tau)**p)", "E + A / (1 + (t / tau)**p)"])
def test_curves_are_fitted_from_the_row_at_zero(text):
    """Weibull and Hill curves have a power of a scaled column, and data a first row at t = 0."""
    t = np.r_[0, 1, 2, 4, 8, 16, 32, 64.0]
    noise = np.exp(0.01 * np.random.default_rng(0).standard_normal(8))
    data = {"t": t, "loss": (1.2 + 3 * np.exp(-((t / 6) ** 0.7))) * noise}
    law = iso.law(text, vars=["t"], positive=["E", "A", "tau", "p"])
    fit = iso.fit(law, iso.read(data, t="t"), objective="squared_log")
    assert fit.success
    assert fit.cov is not None
    nearly = iso.fit(law, iso.read({**data, "t": np.r_[1e-200, t[1:]]}, t="t"), objective="squared_log")
    assert fit.value == pytest.approx(nearly.value, rel=1e-9)
