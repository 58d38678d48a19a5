"""Weights: runs of weight zero are absent everywhere, and the others are read as precisions."""

import json
import warnings

import numpy as np
import pytest

import isoloss as iso
from isoloss import diagnostics
from isoloss.stats.intervals import ends

DEAD = 40
LAW = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})


def one_size(n=9, seed=0):
    rng = np.random.default_rng(seed)
    N = np.geomspace(1e7, 1e10, n)
    return {"N": N, "loss": (1.7 + 400 / N**0.34) * np.exp(0.01 * rng.standard_normal(n)), "run": np.arange(n) // 2}


def with_dead(data, *, seed=1):
    """The same runs among forty others, of weight zero, and where they stand: the others reach farther in all."""
    rng = np.random.default_rng(seed)
    n = len(data["loss"])
    place = np.sort(rng.choice(n + DEAD, n, replace=False))
    made = {}
    for name, values in data.items():
        other = np.exp(rng.uniform(np.log(values[values > 0].min() / 9), np.log(9 * values.max()), DEAD))
        filled = np.empty(n + DEAD, dtype=np.float64)
        filled[place], filled[np.delete(np.arange(n + DEAD), place)] = (
            values,
            np.round(other) if name == "run" else other,
        )
        made[name] = filled
    return {**made, "weight": np.isin(np.arange(n + DEAD), place).astype(np.float64)}, place


def pair(data, law=LAW, group=None, **options):
    """The fit of some runs, that with runs of weight zero among them, and which rows carry weight."""
    more, place = with_dead(data)
    read = {} if group is None else {"group": group}
    return (
        iso.fit(law, iso.read(data, **read), **options),
        iso.fit(law, iso.read(more, weight="weight", **read), **options),
        place,
    )


@pytest.fixture(scope="module")
def rows():
    return pair(one_size(), objective="squared_log")


@pytest.fixture(scope="module")
def sweep():
    data = iso.simulate.sweep(settings=1, seed=0, noise=0.003)
    return pair({name: data[name] for name in ("N", "D", "loss")}, "chinchilla", objective="squared_log")


def same(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_the_fit_itself(rows, sweep):
    for plain, mixed, _ in (rows, sweep):
        same(mixed.vector, plain.vector)
        same(mixed.cov, plain.cov)
        assert mixed.n == plain.n
        assert mixed.basins == plain.basins
        assert [notice.code for notice in mixed.warnings] == [notice.code for notice in plain.warnings]
        assert len(mixed.residuals) == plain.n + DEAD


ALONE = ("auto", "case", "wild", "residual", "parametric", "seed-noise", "jackknife")
TOGETHER = ("auto", "run-cluster", "wild-cluster", "parametric", "seed-noise", "jackknife")


@pytest.mark.parametrize(
    ("method", "grouped"), [*((name, False) for name in ALONE), *((name, True) for name in TOGETHER)]
)
def test_every_bootstrap(method, grouped):
    plain, mixed, _ = pair(one_size(20), group="run" if grouped else None, objective="squared_log")
    options = {"noise": 0.01} if method == "seed-noise" else {}
    one, other = (fit.bootstrap(200, method=method, **options) for fit in (plain, mixed))
    assert other.units == one.units
    assert other.basis.df == one.basis.df
    assert [notice.code for notice in other.warnings] == [notice.code for notice in one.warnings]
    same(other.params, one.params)
    same(list(other.conf_int().values()), list(one.conf_int().values()))
    if method == "wild":
        same(list(other.conf_int(interval="bca").values()), list(one.conf_int(interval="bca").values()))
    if method not in ("jackknife", "seed-noise"):
        new = {"N": np.array([1e8, 1e12]), "kind": "new-run"}
        same(other.predict(**new).low, one.predict(**new).low)


def test_few_runs_are_few_whatever_stands_beside_them():
    plain, mixed, _ = pair(one_size(5), objective="squared_log")
    one, other = (fit.bootstrap(100) for fit in (plain, mixed))
    assert "few-units" in [notice.code for notice in one.warnings]
    assert [notice.message for notice in other.warnings] == [notice.message for notice in one.warnings]


@pytest.mark.parametrize(("method", "grouped"), [("wald", False), ("wald", True), ("profile", False)])
def test_intervals_without_draws(method, grouped):
    plain, mixed, _ = pair(one_size(20), group="run" if grouped else None, objective="squared_log")
    same(list(mixed.conf_int(method=method).values()), list(plain.conf_int(method=method).values()))


def test_profiles_posterior_and_what_is_identified(rows):
    plain, mixed, _ = rows
    same(mixed.profile2("alpha", "E").objective, plain.profile2("alpha", "E").objective)
    same(mixed.posterior(400).flat, plain.posterior(400).flat)
    assert str(mixed.identify()) == str(plain.identify())
    same(mixed.sloppiness.condition, plain.sloppiness.condition)


@pytest.mark.parametrize("method", ["auto", "case", "parametric", "jackknife"])
def test_measured_coverage(sweep, method):
    plain, mixed, _ = sweep
    one, other = (fit.coverage(6, draws=49, method=method) for fit in (plain, mixed))
    assert json.dumps(other.to_dict()) == json.dumps(one.to_dict())  # the default point is that of the largest run


def test_diagnostics_number_the_rows_that_were_given(sweep):
    plain, mixed, place = sweep
    one, other = (diagnostics.influence(fit) for fit in (plain, mixed))
    same(other.params, one.params)
    same(other.share, one.share)
    assert other.estimate == one.estimate
    assert other.rows == tuple((int(place[k]),) for (k,) in one.rows)
    assert other.labels[0] == f"row {other.rows[0][0]}"
    one, other = (diagnostics.outliers(fit, cut=1.5) for fit in (plain, mixed))
    assert len(one.rows) > 1
    assert other.rows == tuple(int(place[k]) for k in one.rows)
    same(other.score, one.score)
    assert other.n == one.n
    assert str(diagnostics.undertuned(mixed, by="N")) == str(diagnostics.undertuned(plain, by="N"))


def test_ranges_decisions_and_budgets(sweep):
    plain, mixed, _ = sweep
    line = next(line for line in plain.summary().splitlines() if " .. " in line)
    assert line in mixed.summary()
    assert "40 more of weight zero" in mixed.summary()
    assert mixed.decisions().question == plain.decisions().question
    assert mixed.predict(N=1e12, D=1e13) == plain.predict(N=1e12, D=1e13)


def test_what_a_law_takes_from_the_data():
    """The pivot is a mean of the sizes, and E stays below the least loss."""
    data = one_size()
    law = iso.law(
        "E + A * (N/N0)**(-alpha)", positive=["E", "A"], bounds={"E": (0, "min_loss")}, pivots={"N0": "geomean"}
    )
    plain, mixed, _ = pair(data, law, objective="squared_log")
    same(mixed.vector, plain.vector)
    same(mixed.predict(N=1e11), plain.predict(N=1e11))
    assert mixed.problem.parameters.upper[0] == data["loss"].min()


def test_a_saved_fit_takes_the_same_from_the_data(tmp_path):
    law = iso.law("E + A * (N/N0)**(-alpha)", positive=["E", "A"], pivots={"N0": "geomean"})
    _, mixed, _ = pair(one_size(), law, objective="huber_log", delta="auto")
    mixed.save(tmp_path / "fit.json")
    again = iso.load(tmp_path / "fit.json")
    assert again.predict(N=1e11) == mixed.predict(N=1e11)
    same(again.bootstrap(50).params, mixed.bootstrap(50).params)


def test_comparisons_hold_out_runs_that_count():
    data = iso.simulate.sweep(settings=1, seed=0, noise=0.003)
    data = {name: data[name] for name in ("N", "D", "loss")}
    one, other = (
        iso.compare(runs, ["chinchilla"], split=iso.Rollout(by="N", min_groups=6), draws=0)
        for runs in (iso.read(data), iso.read(with_dead(data)[0], weight="weight"))
    )
    assert [score.law for score in other.scores] == [score.law for score in one.scores]
    same([score.rmse for score in other.scores], [score.rmse for score in one.scores])


def test_the_multiverse_keeps_the_weights_of_the_fit():
    data = iso.simulate.sweep(settings=1, seed=0, noise=0.003)
    data = {name: data[name] for name in ("N", "D", "loss")}
    more, place = with_dead(data)
    dead = more.pop("weight")
    weights = np.random.default_rng(0).uniform(0.2, 5.0, len(place))
    dead[place] = weights
    choices = {"objectives": ["squared_log"], "smallest": [0, 0.2], "worst": [0, 2]}
    plain = iso.fit("chinchilla", data, objective="squared_log", weights=weights)
    mixed = iso.fit("chinchilla", more, objective="squared_log", weights=dead)
    one = iso.multiverse(plain, **choices, N={"other": 1.1 * data["N"]})
    other = iso.multiverse(mixed, **choices, N={"other": 1.1 * more["N"]})
    np.testing.assert_allclose(one.params[0], plain.vector, rtol=1e-6)  # the choices that the fit itself made
    np.testing.assert_allclose(other.params, one.params, rtol=1e-9)
    assert other.question == one.question


def test_weights_of_any_size_leak_no_warning():
    """Squares and ratios of weights overflow long before the weights do."""
    data = one_size(9)
    weights = 10.0 ** np.linspace(-150, 150, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = iso.fit(LAW, data, objective="absolute_log", weights=weights)
        assert fit.posterior(200).warnings
        assert len(fit.bootstrap(60, method="parametric")) > 0
        fit.coverage(4, draws=20)
        samples, left_out = np.random.default_rng(0).standard_normal((50, 1)), np.array([[1e200], [-1e200], [2e200]])
        low, high = ends("bca", samples, np.zeros(1), 0.9, df=5.0, left_out=left_out)
    assert low < high


# Precisions ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known():
    """Forty runs, every second with thirty times the noise, weights that say so, and 800 studies of the kind."""
    rng = np.random.default_rng(2)
    N = 10 ** rng.uniform(7, 10, 40)
    sigma = np.where(np.arange(40) % 2, 0.03, 0.001)
    truth = 1.3 + 300 / N**0.34
    losses = truth * np.exp(sigma * rng.standard_normal((800, 40)))
    many = iso.fit_many(LAW, {"N": N}, losses, weights=sigma**-2.0, objective="squared_log")
    spread = np.std(many.params[:, list(LAW.parameters).index("alpha")])
    k = int(np.argsort(many.value)[400])  # a study whose noise came out of middling size
    return {"N": N, "loss": losses[k]}, sigma, spread


@pytest.mark.parametrize("method", ["wild", "case", "residual", "parametric", "seed-noise"])
def test_draws_spread_as_studies_do_whose_noise_is_known(known, method):
    data, sigma, spread = known
    fit = iso.fit(LAW, data, objective="squared_log", weights=sigma**-2.0)
    options = {"noise": 0.03} if method == "seed-noise" else {}  # the middle weight is that of the noisy half
    draws = fit.bootstrap(1000, method=method, **options)
    assert draws.std()["alpha"] == pytest.approx(spread, rel=0.35 if method in ("wild", "case") else 0.12)


def test_known_noise_is_covered_as_claimed(known):
    data, sigma, _ = known
    made = iso.fit(LAW, data, objective="squared_log", weights=sigma**-2.0).coverage(400, draws=99)
    assert 0.92 < made["profile"].covered["alpha"] < 0.985  # four standard errors


@pytest.mark.parametrize("method", ["residual", "parametric"])
def test_only_ratios_of_weights_matter_and_a_new_run_has_the_middle_one(known, method):
    data, sigma, _ = known
    one, other = (
        iso.fit(LAW, data, objective="squared_log", weights=weights).bootstrap(400, method=method)
        for weights in (sigma**-2.0, 1e5 * sigma**-2.0)
    )
    np.testing.assert_allclose(other.params, one.params, rtol=1e-4)
    assert one.basis.noise.size == pytest.approx(0.03, rel=0.15)
    assert other.basis.noise.size == pytest.approx(one.basis.noise.size, rel=1e-6)
    band = one.predict(N=1e9, kind="new-run")
    assert np.log(band.high / band.low) == pytest.approx(2 * 1.96 * one.basis.noise.size, rel=0.15)


def test_absolute_errors_take_weights_for_inverse_sizes(known):
    data, sigma, _ = known
    fit = iso.fit(LAW, data, objective="absolute_log", weights=1.0 / sigma)
    assert fit.bootstrap(50, method="parametric").basis.noise.size == pytest.approx(0.03, rel=0.2)


def test_repeated_runs_of_unlike_weight_tell_the_noise():
    rng = np.random.default_rng(3)
    N = np.repeat(np.geomspace(1e7, 1e10, 10), 12)
    sigma = np.tile(np.where(np.arange(12) % 2, 0.03, 0.001), 10)
    data = {"N": N, "loss": (1.3 + 300 / N**0.34) * np.exp(sigma * rng.standard_normal(120))}
    fit = iso.fit(LAW, data, objective="squared_log", weights=sigma**-2.0)
    drawn = fit.bootstrap(300, method="seed-noise")
    told = fit.bootstrap(300, method="seed-noise", noise=0.03)
    assert drawn.std()["alpha"] == pytest.approx(told.std()["alpha"], rel=0.15)
