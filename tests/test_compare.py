"""Rollouts, scores, ties, and the ensemble: which law to believe."""

import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import isoloss as iso
from isoloss.comparison.criteria import criteria
from isoloss.comparison.paired import paired_p
from isoloss.comparison.stacking import _widened, stack
from isoloss.errors import DataError, FitError, LawError, OptionError


@pytest.fixture(scope="module")
def runs():
    return iso.read(iso.simulate.sweep(settings=1, noise=0.002, seed=0))


@pytest.fixture(scope="module")
def compared(runs):
    return iso.compare(runs, ["chinchilla", "kaplan", "skaling"], split=iso.Rollout(by="N"), draws=60, seed=1)


# Rollouts ------------------------------------------------------------------------------------------------------------


def test_every_split_fits_the_smaller_rungs_and_predicts_all_larger_ones(runs):
    rollout = iso.Rollout(by="N", min_groups=3)
    splits = rollout.splits(runs)
    sizes = np.unique(runs["N"])
    assert len(splits) == len(sizes) - 3
    for k, split in enumerate(splits):
        assert set(runs["N"][split.train]) == set(sizes[: k + 3])
        assert np.array_equal(split.train, ~split.test)
        far = np.log10(runs["N"][split.test] / sizes[k + 2])
        np.testing.assert_allclose(split.distance[split.test], far)
        assert np.all(split.distance[split.train] == 0.0)


def test_leaving_one_rung_out_measures_the_distance_to_the_nearer_end(runs):
    splits = iso.Rollout(by="N", kind="leave-one-out").splits(runs)
    sizes = np.unique(runs["N"])
    assert len(splits) == len(sizes)
    assert splits[0].distance[splits[0].test][0] == pytest.approx(math.log10(sizes[1] / sizes[0]))
    assert splits[3].distance.max() == 0.0
    assert splits[-1].distance.max() == pytest.approx(math.log10(sizes[-1] / sizes[-2]))


def test_many_values_are_joined_into_eight_rungs_of_like_size():
    rng = np.random.default_rng(0)
    runs = iso.read(
        {"N": np.exp(rng.uniform(17, 23, 200)), "D": np.exp(rng.uniform(20, 26, 200)), "loss": np.ones(200)}
    )
    rungs = iso.Rollout(by="C").rungs(runs)
    assert rungs.max() == 7
    assert np.bincount(rungs).min() >= 20
    order = np.argsort(runs["C"])
    assert np.all(np.diff(rungs[order]) >= 0)
    assert iso.Rollout(by="C", groups=5).rungs(runs).max() == 4


def test_values_that_nearly_agree_are_one_rung():
    N = np.array([1e8, 1.001e8, 2e8, 2.002e8, 4e8])
    runs = iso.read({"N": N, "D": 20 * N, "loss": np.full(5, 3.0)})
    assert iso.Rollout(by="N", min_groups=2).rungs(runs).tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"by": "size"}, "data-missing-column"),
        ({"by": "N", "min_groups": 8}, "data-too-few-rungs"),
        ({"by": "loss", "kind": "leave-one-out", "groups": 2}, None),
    ],
)
def test_what_makes_no_rungs_is_refused(runs, options, code):
    rollout = iso.Rollout(**options)
    if code is None:
        assert len(rollout.splits(runs)) == 2
        return
    with pytest.raises(DataError) as caught:
        rollout.splits(runs)
    assert caught.value.code == code


@pytest.mark.parametrize("options", [{"kind": "random"}, {"min_groups": 0}, {"groups": 1}, {"min_groups": 2.5}])
def test_options_of_a_rollout_are_checked(options):
    with pytest.raises(OptionError):
        iso.Rollout(**options)


# The comparison ------------------------------------------------------------------------------------------------------


def test_the_true_law_predicts_best_and_baselines_are_always_there(compared):
    names = [score.law for score in compared.scores]
    assert set(names) == {"chinchilla", "kaplan", "skaling", "log_linear", "nearest run"}
    assert compared.best in ("chinchilla", "skaling")  # the second holds the first as a special case
    assert {score.law for score in compared.scores if score.baseline} == {"log_linear", "nearest run"}
    assert compared.scores[0].ahead == min(score.ahead for score in compared.scores)
    assert compared.tried == 5 * len(compared.splits)
    assert f"{compared.tried} fits of a law to a split" in str(compared)


def test_scores_are_those_computed_by_hand(runs, compared):
    errors, ahead = [], []
    for split in compared.splits:
        fit = iso.fit("kaplan", runs.where(split.train), seed=1)
        held = runs.where(split.test)
        error = np.log(fit.predict(N=held["N"], D=held["D"]) / held["loss"])
        errors.append(error)
        ahead.append(error[held["N"] == held["N"].min()])
    score = next(score for score in compared.scores if score.law == "kaplan")
    assert score.rmse == pytest.approx(math.sqrt(np.mean([np.mean(e**2) for e in errors])), rel=1e-9)
    assert score.bias == pytest.approx(np.mean([np.mean(e) for e in errors]), rel=1e-9)
    assert score.ahead == pytest.approx(math.sqrt(np.mean([np.mean(e**2) for e in ahead])), rel=1e-9)
    assert score.last == pytest.approx(math.sqrt(np.mean(errors[-1] ** 2)), rel=1e-9)


def test_the_coverage_in_the_table_is_that_of_the_laws_own_intervals(runs, compared):
    for name, draws in (("kaplan", 60), ("chinchilla", 60)):
        shares = []
        for split in compared.splits:
            drawn = iso.fit(name, runs.where(split.train), seed=1).bootstrap(draws, starts=7, seed=1)
            assert drawn.basis.interval == "expanded"
            held = runs.where(split.test)
            band = drawn.predict(kind="new-run", N=held["N"], D=held["D"])
            shares.append(np.mean((held["loss"] >= band.low) & (held["loss"] <= band.high)))
        score = next(score for score in compared.scores if score.law == name)
        assert score.coverage == pytest.approx(np.mean(shares), rel=1e-12)


def test_information_criteria_only_where_there_is_a_likelihood_and_comparable_across_spaces(runs):
    options = {"split": iso.Rollout(by="N"), "draws": 0}
    huber = iso.compare(runs, ["chinchilla"], objective=iso.Huber(1e-3), **options).scores[0]
    assert math.isnan(huber.aicc)
    log, raw = (
        iso.compare(runs, ["chinchilla"], objective=iso.SquaredError(space), **options).scores[0]
        for space in ("log", "raw")
    )
    fit = iso.fit("chinchilla", runs, objective=iso.SquaredError("log"))
    sigma = math.sqrt(fit.value / fit.n)
    residual = np.log(fit.predict(N=runs["N"], D=runs["D"]) / runs["loss"])
    density = -0.5 * (residual / sigma) ** 2 - math.log(sigma * math.sqrt(2 * math.pi)) - np.log(runs["loss"])
    k, n = 6, fit.n
    assert log.aicc == pytest.approx(-2 * density.sum() + 2 * k + 2 * k * (k + 1) / (n - k - 1), rel=1e-10)
    assert log.bic == pytest.approx(-2 * density.sum() + k * math.log(n), rel=1e-10)
    assert abs(log.aicc - raw.aicc) < 60.0  # densities of the same losses: of one size, not of another scale


def test_information_criteria_read_weights_as_precisions(runs):
    weights = np.random.default_rng(0).uniform(0.2, 4.0, runs.n)
    weights[[3, 11]] = 0.0
    fit = iso.fit("chinchilla", runs, objective="squared_log", weights=weights)
    here = weights > 0.0
    w, loss = weights[here], runs["loss"][here]
    residual = np.log(fit.predict(N=runs["N"][here], D=runs["D"][here]) / loss)
    n, k = runs.n - 2, 6
    # By SciPy: the likelihood of normal losses of spread s / sqrt(w), at the best s.
    best = optimize.minimize_scalar(
        lambda s: -2.0 * np.sum(stats.norm.logpdf(residual, scale=s / np.sqrt(w)) - np.log(loss)),
        bounds=(1e-6, 1.0),
        method="bounded",
        options={"xatol": 1e-12},
    ).fun
    made = criteria(fit)
    assert made.reason == ""
    assert made.aicc == pytest.approx(best + 2 * k + 2 * k * (k + 1) / (n - k - 1), rel=1e-9)
    assert made.bic == pytest.approx(best + k * math.log(n), rel=1e-9)
    scaled = criteria(iso.fit("chinchilla", runs, objective="squared_log", weights=1e3 * weights))
    assert scaled.aicc == pytest.approx(made.aicc, rel=1e-9)  # only ratios matter
    table = {name: runs[name] for name in ("N", "D", "loss")}
    read = iso.read({**table, "w": weights}, weights="w")
    score = iso.compare(read, ["chinchilla"], split=iso.Rollout(by="N"), draws=0, objective="squared_log").scores[0]
    assert score.aicc == pytest.approx(made.aicc, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"objective": "huber_log"}, "huber_log is no normal likelihood"),
        ({"objective": "absolute_raw"}, "absolute_raw is no normal likelihood"),
        ({"objective": "squared_log", "group": True}, "rows of a group are not independent"),
    ],
)
def test_where_there_is_no_likelihood_the_table_says_why(runs, options, reason):
    columns = {name: runs[name] for name in ("N", "D", "loss")}
    group = {"group": "run"} if options.pop("group", False) else {}
    table = iso.read({**columns, "run": np.arange(runs.n) // 2}, **group)
    made = iso.compare(table, ["chinchilla"], split=iso.Rollout(by="N"), draws=0, **options)
    score = next(score for score in made.scores if score.law == "chinchilla")
    assert score.no_criteria == reason
    assert math.isnan(score.aicc)
    assert math.isnan(score.bic)
    (notice,) = [n for n in made.warnings if n.code == "no-likelihood"]
    assert "chinchilla" in notice.details["laws"][reason]
    assert reason in str(made)
    assert reason in made.table["no_criteria"].tolist()


def test_a_law_that_cannot_be_fitted_to_a_split_is_flagged_and_ranks_last(runs):
    few = runs.where(np.isin(runs["N"], np.unique(runs["N"])[:5]))
    rollout = iso.Rollout(by="N", min_groups=1)
    made = iso.compare(few, ["chinchilla", "bnsl_2"], split=rollout, draws=0)
    worst = next(score for score in made.scores if score.law == "bnsl_2")
    assert math.isnan(worst.ahead)
    assert made.scores[-1] is worst
    assert "no prediction in" in worst.flag


def test_a_baseline_that_wins_is_told(runs):
    constant = iso.law("E + 0 * N", vars=["N"], name="constant")
    made = iso.compare(runs, [constant], split=iso.Rollout(by="N"), draws=0)
    assert made.best == "constant"
    assert "baseline-wins" in [notice.code for notice in made.warnings]


def test_the_table_is_a_frame_of_the_kind_that_came_in(runs):
    frame = pd.DataFrame({name: runs[name] for name in ("N", "D", "loss")})
    made = iso.compare(frame, ["chinchilla"], split=iso.Rollout(by="N"), draws=0)
    assert isinstance(made.table, pd.DataFrame)
    assert next(iter(made.table["law"])) == "chinchilla"


def test_a_comparison_does_not_depend_on_the_order_of_rows(runs):
    order = np.random.default_rng(0).permutation(runs.n)
    names = ("N", "D", "loss")
    one, two = (
        iso.compare({name: runs[name][rows] for name in names}, ["chinchilla", "kaplan"],
                    split=iso.Rollout(by="N", min_groups=5), draws=40, objective="squared_log")
        for rows in (np.arange(runs.n), order)
    )  # fmt: skip
    for a, b in zip(one.scores, two.scores, strict=True):
        assert (a.law, a.coverage, a.tied) == (b.law, pytest.approx(b.coverage, nan_ok=True), b.tied)
        assert (a.ahead, a.bias) == pytest.approx((b.ahead, b.bias), rel=1e-6)
    here, there = (made.ensemble().predict(N=1e11, D=1e13) for made in (one, two))
    assert (here.low, here.high) == pytest.approx((there.low, there.high), rel=1e-6)


def test_the_same_bits_on_one_and_two_threads(runs):
    one, two = (
        iso.compare(runs, ["chinchilla", "skaling"], split=iso.Rollout(by="N"), draws=30, n_threads=k).to_dict()
        for k in (1, 2)
    )
    assert json.dumps(one, sort_keys=True, default=str) == json.dumps(two, sort_keys=True, default=str)


def test_groups_err_together(runs):
    rng = np.random.default_rng(0)
    difference = np.repeat(rng.standard_normal(20), 5) + 0.4
    single = paired_p(difference, np.arange(100), 0)
    grouped = paired_p(difference, np.repeat(np.arange(20), 5), 0)
    assert single < grouped


def test_the_p_of_a_comparison_is_that_of_flipped_next_rung_errors(compared, runs):
    """By hand: what each run adds to the mean squared error at the next rung, signs flipped at random."""
    best, rungs, loss = compared.scores[0].law, compared.rollout.rungs(runs), runs["loss"]
    for score in compared.scores[1:]:
        total = np.zeros(runs.n)
        for one, other in zip(compared.trials[score.law], compared.trials[best], strict=True):
            ahead = rungs[one.rows] == rungs[one.rows].min()
            square = [np.log(trial.prediction / loss[trial.rows])[ahead] ** 2 for trial in (one, other)]
            total[one.rows[ahead]] += (square[0] - square[1]) / ahead.sum()
        signs = 1.0 - 2.0 * np.random.default_rng(9).integers(0, 2, (20_000, runs.n))
        p = np.mean(np.abs(signs @ total) >= abs(total.sum()) * (1.0 - 1e-12))
        assert score.tied == pytest.approx(p, abs=0.02)  # four standard errors


def test_paired_p_is_uniform_under_the_null():
    rng = np.random.default_rng(1)
    values = [paired_p(rng.standard_normal(10), np.arange(10), 0) for _ in range(400)]
    assert np.mean(np.array(values) < 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize(
    ("laws", "error"),
    [([], OptionError), (["chinchila"], LawError), (["chinchilla", "chinchilla"], OptionError)],
)
def test_wrong_laws_are_refused(runs, laws, error):
    with pytest.raises(error):
        iso.compare(runs, laws, split=iso.Rollout(by="N"))


def test_texts_and_names_of_ones_own(runs):
    made = iso.compare(runs, {"mine": "E + A / N**a + B / D**b"}, split=iso.Rollout(by="N"), draws=0)
    assert made.best == "mine"


def test_progress_counts_laws_and_splits_and_stops(runs):
    seen = []
    iso.compare(runs, ["chinchilla"], split=iso.Rollout(by="N"), draws=0, progress=lambda *at: seen.append(at))
    assert seen[-1][0] == seen[-1][1] == len(seen)
    with pytest.raises(KeyboardInterrupt):
        iso.compare(runs, ["chinchilla"], split=iso.Rollout(by="N"), draws=0, progress=lambda done, _: done == 2)


# The ensemble --------------------------------------------------------------------------------------------------------


def test_stacking_weights_are_the_least_squares_ones_on_the_simplex():
    rng = np.random.default_rng(3)
    truth = rng.standard_normal(60)
    laws = np.stack([truth + 0.3 * rng.standard_normal(60) + shift for shift in (0.0, 0.1, -0.4, 0.9)])
    ours = stack(laws, truth)
    theirs = optimize.minimize(
        lambda w: np.mean((w @ laws - truth) ** 2),
        np.full(4, 0.25),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14},
    )
    assert np.mean((ours @ laws - truth) ** 2) <= theirs.fun * (1 + 1e-4)
    assert ours.sum() == pytest.approx(1.0)
    assert np.all(ours >= 0.0)


def test_the_interval_holds_parameters_runs_and_laws(compared):
    mixed = compared.ensemble()
    made = mixed.predict(N="10B", D="2T")
    assert made.low < made.estimate < made.high
    alone = compared.fits["chinchilla"].bootstrap(60, seed=1).predict(N="10B", D="2T", kind="new-run")
    assert made.high - made.low >= 0.5 * (alone.high - alone.low)
    assert set(made.by_law) == set(mixed.weights)
    assert compared.ensemble() is mixed


def test_held_out_runs_lie_inside_the_widened_interval(runs):
    # A law that misses the data's curvature: its own intervals are far too narrow, the calibrated ones are not.
    made = iso.compare(runs, ["kaplan"], split=iso.Rollout(by="N", min_groups=3), draws=60)
    mixed = made.ensemble()
    assert mixed.factor > 1.0
    assert np.mean(mixed.scores <= mixed.factor) >= 0.95
    assert made.scores[0].coverage < 0.95


def test_the_share_of_held_out_runs_inside_is_the_level_at_every_level():
    sweep = iso.simulate.sweep(settings=1, noise=0.0003, seed=0)
    N, D = np.asarray(sweep["N"]), np.asarray(sweep["D"])
    loss = 1.8 + 1.5 * ((N / 1e8) ** -0.35 + 1.1 * (D / 1e10) ** -0.6) ** 0.55
    loss = loss * np.exp(0.001 * np.random.default_rng(3).standard_normal(len(N)))
    runs = iso.read({"N": N, "D": D, "loss": loss})
    made = iso.compare(runs, ["kaplan"], split=iso.Rollout(by="N", min_groups=3), draws=60)
    mixed = made.ensemble()
    for level in (0.5, 0.8, 0.9, 0.95):
        inside = []
        for found in made.trials["kaplan"]:
            centre, low, high = _widened(
                mixed.weights, {"kaplan": found.prediction}, {"kaplan": found.draws}, level, mixed.scores
            )
            off = np.log(loss[found.rows]) - centre
            inside += ((off >= -low) & (off <= high)).tolist()
        assert len(inside) == mixed.held_out > 100
        assert level <= np.mean(inside) <= level + 0.03
    half, usual = (mixed.predict(N="10B", D="2T", level=level) for level in (0.5, 0.95))
    # Half of the held-out runs lie within so many half widths of the 95 % interval.
    reach = np.sort(mixed.scores)[int(np.ceil(0.5 * (mixed.held_out + 1))) - 1] / mixed.factor
    assert np.log(half.high / half.estimate) == pytest.approx(reach * np.log(usual.high / usual.estimate))


def test_beyond_what_was_held_out_the_forecast_says_so(compared):
    mixed = compared.ensemble()
    assert mixed.predict(N=compared.runs["N"].max() * 10**mixed.reach * 1.1, D="1T").checked is False
    near = mixed.predict(N=compared.runs["N"].max(), D="1T")
    assert near.checked is True
    assert near.distance == 0.0
    assert "farther than any run" in str(mixed.predict(N="100T", D="1T"))


def test_without_draws_there_is_nothing_to_mix(runs):
    made = iso.compare(runs, ["chinchilla"], split=iso.Rollout(by="N"), draws=0)
    with pytest.raises(FitError) as caught:
        made.ensemble()
    assert caught.value.code == "ensemble-empty"


def test_arrays_broadcast_and_levels_are_checked(compared):
    mixed = compared.ensemble()
    made = mixed.predict(N=np.array([1e9, 2e9])[:, None], D=np.array([1e11, 1e12, 1e13]))
    assert made.estimate.shape == made.low.shape == made.checked.shape == (2, 3)
    narrow = mixed.predict(N="1B", D="1T", level=0.5)
    wide = mixed.predict(N="1B", D="1T", level=0.99)
    assert wide.high - wide.low > narrow.high - narrow.low
    with pytest.raises(OptionError):
        mixed.predict(N="1B", D="1T", level=1.0)


def test_the_figure_has_a_line_for_each_law(compared):
    ax = compared.plot.error_vs_distance()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert set(labels) == {score.law for score in compared.scores}
    assert ax.get_yscale() == "log"
    plt.close(ax.figure)


# Real runs -----------------------------------------------------------------------------------------------------------


def published(data_dir):
    """The four files of the acceptance test, each as runs."""
    return {
        "chinchilla": iso.read(
            data_dir / "chinchilla_epoch.csv", N="params", C="flops", loss="loss", where={"dropped_by_epoch": 0}
        ),
        "over-training": iso.read(
            data_dir / "gadre_models.csv", N="params_total", D="tokens", loss="loss_c4_val", where={"train_set": "rpj"}
        ),
        "ladder": iso.read(
            data_dir / "olmo_ladder_final.csv",
            N="params_non_embedding",
            D="tokens",
            loss="value",
            where={"metric": "ce_loss_nats", "task": "c4_en"},
        ),
        "isoflop": iso.read(
            data_dir / "isoflop_marin.csv",
            N="params",
            D="tokens",
            C="flops_budget",
            loss="loss",
            where={"outlier": 0, "dataset": "comma"},
        ),
    }


def test_the_recommended_law_is_best_or_tied_at_the_largest_budget_in_three_of_four(data_dir):
    good = 0
    for runs in published(data_dir).values():
        rollout = iso.Rollout(min_groups=3)
        rungs = rollout.rungs(runs)
        small, large = runs.where(rungs < rungs.max()), runs.where(rungs == rungs.max())
        made = iso.compare(small, ["chinchilla", "kaplan", "skaling", "log_bilinear"], split=rollout, draws=0)
        errors = {
            name: np.abs(np.log(fit.predict(N=large["N"], D=large["D"]) / large["loss"]))
            for name, fit in made.fits.items()
        }
        least = min(errors, key=lambda name: np.mean(errors[name] ** 2))
        p = paired_p(errors[made.best] - errors[least], np.arange(large.n), 0)
        good += made.best == least or p > 0.05
    assert good >= 3


def test_few_held_out_runs_calibrate_no_interval(runs):
    sizes = len(np.unique(runs["N"]))
    told = iso.compare(runs, ["chinchilla"], split=iso.Rollout(by="N", min_groups=sizes - 1), draws=60).ensemble()
    (notice,) = told.warnings
    assert (notice.code, notice.details["splits"]) == ("few-splits", 1)
    held = int(np.sum(runs["N"] == runs["N"].max()))
    assert (f"with {held} runs held out" in notice.message) == (held < 19)
    assert not iso.compare(runs, ["chinchilla"], split=iso.Rollout(by="N"), draws=60).ensemble().warnings


def test_a_split_that_no_law_predicts_leaves_an_ensemble_of_the_others(runs):
    # Five runs of the smallest size on a line, too few for a law of six parameters and its five of them alone.
    small = runs.where(np.isin(runs["N"], np.unique(runs["N"])[2:]))
    table = {name: small[name] for name in ("N", "D", "loss")}
    first = table["N"] == table["N"].min()
    keep = ~first | (np.cumsum(first) <= 4)
    rollout = iso.Rollout(by="N", min_groups=1)
    made = iso.compare({name: v[keep] for name, v in table.items()}, ["chinchilla"], split=rollout, draws=40)
    trials = made.trials["chinchilla"]
    assert [one.ok for one in trials][:2] == [False, True]
    later = sum(len(one.rows) for one in trials if one.ok)
    assert made.ensemble().held_out == later
