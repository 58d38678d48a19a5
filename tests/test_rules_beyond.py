"""Rules on published runs and against other programs: pass@k, components of capability, Student's t, crossings."""

import csv

import numpy as np
import pytest
from scipy import stats

import isoloss as iso
from isoloss.errors import DataError
from isoloss.rules._student import student_quantile


@pytest.fixture(scope="module")
def counts(data_dir):
    with (data_dir / "pass_at_k_math_counts.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("model", ["Pythia 70M", "Pythia 12B"])
def test_pass_at_k_equals_the_published_means(data_dir, counts, model):
    n, m = (np.array([float(r[c]) for r in counts if r["model"] == model]) for c in ("n_samples", "n_correct"))
    with (data_dir / "pass_at_k_math_mean.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == model]
    k, published = (np.array([float(row[c]) for row in rows]) for c in ("k", "pass_at_k_mean"))
    coverage = iso.rules.get("pass_at_k")(n=n, m=m, k=k[:, None]).mean(axis=1)
    np.testing.assert_allclose(coverage, published, rtol=0, atol=1e-11)


def test_pass_at_k_refuses_what_cannot_be_counted():
    rule = iso.rules.get("pass_at_k")
    for values, word in (
        ({"n": 10, "m": 11, "k": 2}, "'m'"),
        ({"n": 10, "m": 1, "k": 11}, "'k'"),
        ({"n": 10.5, "m": 1, "k": 2}, "whole"),
    ):
        with pytest.raises(DataError, match=word) as caught:
            rule(**values)
        assert caught.value.code == "rule-domain"


def test_three_components_hold_nearly_all_of_eight_benchmarks(data_dir):
    with (data_dir / "obs_base_llms.csv").open() as file:
        rows = list(csv.DictReader(file))
    known = {"model", "family", "params_billions", "tokens_trillions", "flops_1e21"}
    names = [name for name in rows[0] if name not in known]
    table = np.array([[float(row[name]) if row[name] else np.nan for name in names] for row in rows])
    found = iso.rules.get("capability_components")(scores=table)
    assert len(names) == 8
    assert np.isnan(table).any()
    assert not np.isnan(found.filled).any()
    np.testing.assert_array_equal(found.filled[~np.isnan(table)], table[~np.isnan(table)])
    # The paper: about 80 and 97 per cent, on its own selection of models.
    assert 0.70 < found.explained[0] < 0.90
    assert 0.94 < found.explained.sum() < 0.99
    # More capable models are those of more compute.
    compute = np.array([float(row["flops_1e21"] or "nan") for row in rows])
    kept = np.isfinite(compute)
    assert stats.spearmanr(np.log(compute[kept]), found.scores[kept, 0]).statistic > 0.8


def test_components_agree_with_an_eigendecomposition():
    table = np.random.default_rng(1).standard_normal((30, 5)) @ np.diag([3.0, 2.0, 1.0, 0.5, 0.2])
    found = iso.rules.get("capability_components")(scores=table, count=2)
    values, vectors = np.linalg.eigh(np.cov(table.T))
    np.testing.assert_allclose(found.explained, values[::-1][:2] / values.sum())
    np.testing.assert_allclose(np.abs(found.loadings), np.abs(vectors[:, ::-1][:, :2]), atol=1e-12)


def test_a_benchmark_without_any_score_is_refused():
    with pytest.raises(DataError, match="no score at all"):
        iso.rules.get("capability_components")(scores=[[0.1, np.nan], [0.2, np.nan]])


def test_predictability_is_lost_along_the_chain():
    random = np.random.default_rng(3)
    growth = np.linspace(0.0, 3.0, 10)[:, None, None]
    p = 1e-3 * np.exp(growth + 0.8 * random.standard_normal((10, 400, 4)) * np.array([0.3, 1.0, 1.0, 1.0]))
    found = iso.rules.get("predictability_chain")(p=p, correct=np.zeros(400), compute=np.geomspace(1e18, 1e23, 10))
    assert found.log_likelihood > 0.95
    assert found.log_likelihood > found.choice_probability >= found.accuracy


def test_rank_correlation_is_that_of_scipy():
    random = np.random.default_rng(5)
    p = random.uniform(0.05, 0.5, (7, 60, 3)).round(1)  # with ties
    compute = np.geomspace(1.0, 64.0, 7)
    own = np.log(p[:, :, 1])
    linked = [stats.spearmanr(compute, own[:, sample]).statistic for sample in range(60)]
    found = iso.rules.get("predictability_chain")(p=p, correct=np.ones(60), compute=compute, above=0.3)
    assert found.log_likelihood == pytest.approx(np.mean(np.nan_to_num(linked) > 0.3))


@pytest.mark.parametrize("dof", [1, 2, 3, 6, 30, 400])
def test_student_quantiles_are_those_of_scipy(dof):
    for level in (0.5, 0.9, 0.95, 0.999):
        assert student_quantile(level, dof) == pytest.approx(stats.t.ppf(0.5 + level / 2, dof), rel=1e-9)


def test_the_interval_of_a_crossing_covers_as_it_says():
    random = np.random.default_rng(11)
    hours = np.array([6.0, 12.0, 24.0, 48.0, 96.0])
    first, second = 30.0 * hours**-0.1, 60.0 * hours**-0.2
    true = (60.0 / 30.0) ** (1 / 0.1)
    rule = iso.rules.get("trend_crossing")
    covered = 0
    for _ in range(400):
        noise = np.exp(0.01 * random.standard_normal((2, 5)))
        found = rule(x1=hours, y1=first * noise[0], x2=hours, y2=second * noise[1])
        covered += found.low <= true <= found.high
    assert 0.92 < covered / 400 < 0.98


def test_parallel_trends_bound_no_crossing():
    found = iso.rules.get("trend_crossing")(x1=[1, 2, 4], y1=[3.0, 2.5, 2.1], x2=[1, 2, 4], y2=[4.1, 3.2, 2.9])
    assert (found.low, found.high) == (0.0, np.inf)


def test_slopes_are_those_of_scipy():
    x, inside = np.array([3e4, 1e5, 3e5, 1e6, 3e6]), np.array([0.2, 0.13, 0.06, 0.036, 0.02])
    outside = np.array([0.43, 0.40, 0.44, 0.40, 0.42])
    found = iso.rules.get("in_and_out_of_distribution")(x=x, inside=inside, outside=outside, level=0.9)
    for errors, got in ((inside, found[:3]), (outside, found[3:6])):
        line = stats.linregress(np.log(x), np.log(errors))
        half = line.stderr * stats.t.ppf(0.95, 3)
        assert got == pytest.approx((line.slope, line.slope - half, line.slope + half))
    assert not found.outside_improves


def test_too_few_points_make_no_trend():
    with pytest.raises(DataError, match="three points"):
        iso.rules.get("trend_crossing")(x1=[1, 2], y1=[3, 2], x2=[1, 2, 4], y2=[4, 3, 2])


def test_the_recipe_of_farseer_starts_a_fit_of_the_whole_surface():
    law, paper = iso.laws.get("farseer"), iso.laws.get("farseer_printed")
    truth = paper.bind("li2025")
    N, D = (a.ravel() for a in np.meshgrid(2e8 * 2.0 ** np.arange(0, 5, 0.5), 2e9 * 2.0 ** np.arange(0, 6, 0.5)))
    loss = truth(N=N, D=D) * np.exp(2e-4 * np.random.default_rng(2).standard_normal(N.size))
    pieces = iso.rules.get("farseer_recipe")(N=N, D=D, loss=loss)
    runs = {"N": N, "D": D, "loss": loss}
    fit = iso.fit(law, runs, starts=[[pieces.anchored[name] for name in law.parameters]])
    assert fit.success
    objective = law.recipe.objective
    alone = paper.bind({name: getattr(pieces, name) for name in paper.parameters})(N=N, D=D)
    np.testing.assert_allclose(law.bind(pieces.anchored)(N=N, D=D), alone, rtol=1e-12)
    assert fit.value <= objective.value(alone, loss)
    assert fit.value <= 1.001 * iso.fit(law, runs, seed=0).value
    far = {"N": 2.5e10, "D": 1.4e11}
    assert fit.predict(**far) == pytest.approx(truth(**far), rel=0.01)


def test_the_recipe_of_farseer_says_what_it_lacks():
    with pytest.raises(DataError, match="needs four"):
        iso.rules.get("farseer_recipe")(N=[1e8, 1e8, 2e8], D=[1e9, 2e9, 1e9], loss=[3.0, 2.9, 2.8])


def test_density_is_nan_where_no_reference_model_has_the_score():
    reference = {"a": 8.0, "alpha": 0.1, "b": 60.0, "beta": 0.2, "c": 0.6, "gamma": -4.0, "l": 1.0, "d": 0.25}
    rule = iso.rules.get("capacity_density")
    assert np.isnan(rule(score=0.2, N=1e9, **reference).density)
    assert np.isnan(rule(score=0.849, N=1e9, **reference).density)


def test_noise_is_averaged_before_it_is_divided():
    random = np.random.default_rng(0)
    small, large = (2.0 + 600.0 / b + 0.4 * random.standard_normal(4000) for b in (100.0, 1000.0))
    rule = iso.rules.get("gradient_noise_scale")
    assert rule(small=100, large=1000, norm_small=small, norm_large=large).scale == pytest.approx(300.0, rel=0.05)
    assert np.isnan(rule(small=100, large=1000, norm_small=8.0, norm_large=0.1).scale)
    with pytest.raises(DataError, match="not above 'small'"):
        rule(small=100, large=100, norm_small=8.0, norm_large=0.1)
