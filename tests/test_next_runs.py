"""Runs to add: what they are expected to tell, whether the choice is the best, and whether it comes true."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest

import isoloss as iso
from isoloss.design.exchange import choose, criterion
from isoloss.design.information import Model, model_for, noise_of
from isoloss.errors import CODES, DataError, FitError, LawError, OptionError

LAW = iso.laws.get("chinchilla")
TRUTH = LAW.bind("besiroglu2024")
GRID = iso.grid(C=[1e19, 1e20, 1e21], tpp=[5, 20, 80, 320])
BIG = iso.Target.allocation(C=1e23)


def table(seed=0, noise=0.003, budgets=(1e18, 3e18, 1e19, 3e19), ratios=(5, 10, 20, 40), **more):
    C, ratio = (axis.ravel() for axis in np.meshgrid(budgets, ratios))
    N = np.sqrt(C / 6.0 / ratio)
    D = C / 6.0 / N
    loss = TRUTH(N=N, D=D) * np.exp(noise * np.random.default_rng(seed).standard_normal(len(N)))
    return {"N": N, "D": D, "loss": loss, **more}


@pytest.fixture(scope="module")
def fit():
    return iso.fit("chinchilla", table(), objective="squared_log")


@pytest.fixture(scope="module")
def plan(fit):
    return iso.next_runs(fit, BIG, candidates=GRID, budget=3e21, n=6)


# Parts ---------------------------------------------------------------------------------------------------------------


def test_grids_of_any_two_agree():
    made = iso.grid(C=[1e19, 1e20], tpp=[10, 20])
    np.testing.assert_allclose(made.columns["C"], [1e19, 1e19, 1e20, 1e20])
    np.testing.assert_allclose(made.columns["D"] / made.columns["N"], [10, 20, 10, 20])
    np.testing.assert_allclose(6 * made.columns["N"] * made.columns["D"], made.columns["C"])
    np.testing.assert_array_equal(made.cost, made.columns["C"])
    for other in (
        iso.grid(N=["1B"], D=["20B"]),
        iso.grid(N=1e9, tpp=20),
        iso.grid(D="20B", tpp=20),
        iso.grid(N=1e9, C=1.2e20),
    ):
        assert other.columns["C"].tolist() == pytest.approx([1.2e20])
        assert other.columns["N"].tolist() == pytest.approx([1e9])
    paid = iso.grid(N=[1e9, 2e9], tpp=[20], cost=lambda N, D: 8 * N * D, U=[1e9])
    np.testing.assert_allclose(paid.cost, 8 * paid.columns["N"] * paid.columns["D"])
    assert paid.columns["U"].tolist() == [1e9, 1e9]


def test_slopes_of_the_optimum_are_those_of_its_formula(fit):
    """ln N* = (ln(alpha A / (beta B)) + beta ln(C / 6)) / (alpha + beta), differentiated by hand."""
    _, A, a, B, b = fit.vector
    slope = BIG.slopes(fit.bound, fit.vector[None, :], np.eye(5))[0]
    value = (math.log(a * A / (b * B)) + b * math.log(1e23 / 6.0)) / (a + b)
    assert BIG.values(fit.bound, fit.vector[None, :])[0] == pytest.approx(value, abs=1e-7)
    expected = [
        0.0,
        1.0 / A / (a + b),
        (1.0 / a - value) / (a + b),
        -1.0 / B / (a + b),
        (-1.0 / b + math.log(1e23 / 6.0) - value) / (a + b),
    ]
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-6)
    named = iso.Target.parameter("A").slopes(fit.bound, fit.vector[None, :], np.eye(5))[0]
    np.testing.assert_allclose(named, [0.0, 1.0 / A, 0.0, 0.0, 0.0], rtol=1e-6)
    tied = BIG.slopes(fit.bound, fit.vector[None, :], np.eye(5)[:, [0, 1, 3]] + np.zeros((5, 3)))
    np.testing.assert_allclose(tied[0], np.array(expected)[[0, 1, 3]], rtol=1e-4, atol=1e-6)


def jacobian(fit, N, D):
    """(n, 5) derivatives of ln L, from the formula."""
    E, A, a, B, b = fit.vector
    value = E + A / N**a + B / D**b
    parts = [np.ones_like(N), N**-a, -A * N**-a * np.log(N), D**-b, -B * D**-b * np.log(D)]
    return np.column_stack(parts) / value[:, None]


def test_the_variance_is_that_of_least_squares(fit):
    """With and without further runs: c^T (J^T J)^-1 c sigma^2, J and c from formulas."""
    noise = noise_of(fit)
    model = model_for(fit, fit.vector[None, :], BIG, GRID.columns, noise)
    J = jacobian(fit, fit.runs["N"], fit.runs["D"])
    K = jacobian(fit, GRID.columns["N"], GRID.columns["D"])
    c = BIG.slopes(fit.bound, fit.vector[None, :], np.eye(5))[0]
    assert noise.model.slope == 0.0
    for chosen in ([], [2, 7, 7]):
        rows = np.vstack([J, K[chosen]])
        expected = c @ np.linalg.solve(rows.T @ rows, c) * noise.model.size**2
        assert model.variance(chosen)[0] == pytest.approx(expected, rel=1e-5)


def test_rows_of_a_group_count_for_less():
    """Against generalised least squares with the whole covariance matrix."""
    rng = np.random.default_rng(1)
    made = table(noise=0.0)
    made = {
        name: np.repeat(column, 4) * (1.0 if name != "D" else np.tile([0.4, 0.6, 0.8, 1.0], 16))
        for name, column in made.items()
    }
    run = np.repeat(np.arange(16), 4)
    made["loss"] = TRUTH(N=made["N"], D=made["D"]) * np.exp(
        0.003 * rng.standard_normal(16)[run] + 0.002 * rng.standard_normal(64)
    )
    fit = iso.fit("chinchilla", iso.read({**made, "run": run}, group="run"), objective="squared_log")
    noise = noise_of(fit)
    assert 0.3 < noise.shared < 0.95
    model = model_for(fit, fit.vector[None, :], BIG, GRID.columns, noise)
    size = noise.at({"N": made["N"], "D": made["D"]})
    V = (noise.own * np.eye(64) + noise.shared * (run[:, None] == run)) * size[:, None] * size
    J = jacobian(fit, made["N"], made["D"])
    c = BIG.slopes(fit.bound, fit.vector[None, :], np.eye(5))[0]
    M = J.T @ np.linalg.solve(V, J)
    assert model.variance([])[0] == pytest.approx(c @ np.linalg.solve(M, c), rel=1e-4)
    new = (
        jacobian(fit, GRID.columns["N"], GRID.columns["D"])[[3]]
        / noise.at({n: GRID.columns[n][[3]] for n in "ND"})[:, None]
    )
    assert model.variance([3])[0] == pytest.approx(c @ np.linalg.solve(M + new.T @ new, c), rel=1e-4)


# The choice ----------------------------------------------------------------------------------------------------------


def problem(seed, k, q=4, draws=3, laws=1):
    rng = np.random.default_rng(seed)
    models = []
    for _ in range(laws):
        base = rng.standard_normal((draws, 7, q))
        models.append(
            Model(
                name="any",
                base=np.einsum("snq,snr->sqr", base, base),
                rows=rng.standard_normal((draws, k, q)) * rng.uniform(0.3, 3.0, k)[None, :, None],
                slope=rng.standard_normal((draws, q)),
                left_out=0,
                open=0.0,
            )
        )
    return models, rng.choice([1.0, 2.0, 3.0, 5.0, 8.0], k)


@pytest.mark.parametrize("laws", [1, 2])
@pytest.mark.parametrize("budget", [4.0, 9.0, math.inf])
def test_the_choice_is_the_best_of_all(budget, laws):
    """Against every multiset of up to four of seven candidates: never worse by more than 2 %, mostly the best."""
    best = 0
    for seed in range(12):
        models, cost = problem(seed, 7, laws=laws)
        every = [
            list(some)
            for size in range(1, 5)
            for some in itertools.combinations_with_replacement(range(7), size)
            if cost[list(some)].sum() <= budget
        ]
        least = min(criterion(models, some) for some in every)
        chosen = choose(models, cost, n=4, budget=budget, seed=0)
        assert len(chosen) <= 4
        assert cost[chosen].sum() <= budget
        reached = criterion(models, chosen)
        assert reached - least < 0.02
        best += reached - least < 1e-9
    assert best >= 11


def test_the_real_choice_is_the_best_of_all(fit):
    offered = iso.grid(C=[1e19, 1e20, 1e21], tpp=[5, 80])
    plan = iso.next_runs(fit, BIG, candidates=offered, budget=1.3e21, n=4)
    drawn = fit.bootstrap(48, seed=0)
    model = model_for(fit, np.vstack([fit.vector, drawn.params]), BIG, offered.columns, noise_of(fit))
    reached = [
        criterion([model], list(some))
        for size in range(1, 5)
        for some in itertools.combinations_with_replacement(range(6), size)
        if offered.cost[list(some)].sum() <= 1.3e21
    ]
    change = math.log(plan.after / plan.before)
    assert 2.0 * change == pytest.approx(min(reached) - criterion([model], []), abs=1e-9)


def test_the_plan_keeps_its_promises(plan, fit):
    assert len(plan) <= 6
    assert plan.cost.sum() <= 3e21 * (1 + 1e-9)
    assert (np.diff(plan.shrinkage) > 0).all()
    assert plan.alone[0] == pytest.approx(plan.shrinkage[0])
    assert (plan.alone <= plan.shrinkage + 1e-12).all()
    assert 1.0 - plan.after / plan.before == pytest.approx(plan.shrinkage[-1])
    assert plan.by_law == {"chinchilla": pytest.approx(plan.shrinkage[-1])}
    # The whole is worth more than the best ray or budget alone.
    for part in (iso.grid(C=[1e21], tpp=[20]), iso.grid(C=[1e19], tpp=[5, 20, 80, 320])):
        assert iso.next_runs(fit, BIG, candidates=part, budget=3e21, n=6).shrinkage[-1] < plan.shrinkage[-1]
    more = iso.next_runs(fit, BIG, candidates=GRID, budget=1e22, n=12)
    assert more.shrinkage[-1] > plan.shrinkage[-1]
    again = iso.next_runs(fit, BIG, candidates=GRID, budget=3e21, n=6, n_threads=1)
    assert again.to_dict() == plan.to_dict()


def test_other_laws_count_as_much(fit, plan):
    both = iso.next_runs(fit, BIG, candidates=GRID, budget=3e21, n=6, robust_to=["skaling"])
    assert set(both.by_law) == {"chinchilla", "skaling"}
    assert both.by_law["chinchilla"] <= plan.by_law["chinchilla"] + 1e-9
    # The geometric mean of what is left under each law.
    left = math.prod(1.0 - share for share in both.by_law.values()) ** 0.5
    assert both.shrinkage[-1] == pytest.approx(1.0 - left)
    assert "if skaling is true" in str(both)
    alone = iso.next_runs(iso.fit("skaling", fit.runs, objective="squared_log"), BIG, candidates=GRID, budget=3e21, n=6)
    assert both.by_law["skaling"] <= alone.by_law["skaling"] + 0.02


def test_runs_on_a_ray_are_told_to_leave_it():
    N = np.geomspace(5e7, 2e9, 12)
    loss = TRUTH(N=N, D=20 * N) * np.exp(0.003 * np.random.default_rng(0).standard_normal(12))
    ray = iso.fit("chinchilla", {"N": N, "D": 20 * N, "loss": loss}, objective="squared_log")
    with pytest.raises(FitError):
        ray.allocate(C=1e23)
    plan = iso.next_runs(ray, BIG, candidates=GRID, budget=3e21, n=4)
    ratio = plan.columns["D"] / plan.columns["N"]
    assert (ratio < 10).any()
    assert (ratio > 40).any()
    assert plan.open == 1.0
    assert "left open by the runs" in str(plan)
    # What the runs do tell is not open: the loss further along the ray.
    along = iso.next_runs(ray, iso.Target.loss(N=4e9, D=8e10), candidates=GRID, budget=3e21, n=4)
    assert along.open < 0.5
    assert "left open by the runs" not in str(along)


def test_a_loss_is_told_best_by_runs_near_it(fit):
    plan = iso.next_runs(
        fit, iso.Target.loss(N="5B", D="100B"), candidates=iso.grid(C=[1e19, 3e21], tpp=[5, 20, 80]), n=1
    )
    assert (plan.columns["C"][0], plan.columns["D"][0] / plan.columns["N"][0]) == pytest.approx((3e21, 20.0))
    assert not plan.factor


def test_parameters_held_and_further_variables_are_seen():
    fixed = iso.fit("chinchilla", table(), objective="squared_log", fix={"E": 1.8172})
    assert (
        iso.next_runs(fixed, BIG, candidates=GRID, n=2).before
        < iso.next_runs(iso.fit("chinchilla", table(), objective="squared_log"), BIG, candidates=GRID, n=2).before
    )
    with pytest.raises(FitError) as caught:
        iso.next_runs(fixed, iso.Target.parameter("E"), candidates=GRID, n=2)
    assert caught.value.code == "target-undetermined"
    law = iso.law("E + A / N**alpha + B / (D * q)**beta", vars=["N", "D", "q"], positive=["E", "A", "B"])
    made = table(q=np.tile([1.0, 1.5], 8))
    made["loss"] = TRUTH(N=made["N"], D=made["D"] * made["q"]) * np.exp(
        0.002 * np.random.default_rng(0).standard_normal(16)
    )
    mixed = iso.fit(law, made, objective="squared_log")
    target = iso.Target.allocation(C=1e22, q=1.2)
    plan = iso.next_runs(mixed, target, candidates=iso.grid(C=[1e20, 1e21], tpp=[5, 80], q=[1.0, 2.0]), n=3)
    assert set(plan.columns) == {"N", "D", "C", "q"}
    assert "q 1" in str(plan) or "q 2" in str(plan)
    with pytest.raises(LawError, match=r"needs q of every candidate: grid\(\.\.\., q="):
        iso.next_runs(mixed, target, candidates=GRID)
    with pytest.raises(LawError, match="needs a value for q"):
        iso.next_runs(mixed, BIG, candidates=iso.grid(C=[1e20], tpp=[5], q=[1.0]))


# Whether it comes true -----------------------------------------------------------------------------------------------


def test_what_is_expected_comes_true(plan):
    """The shrinkage of simulated intervals is that of the information, and they keep covering."""
    made = iso.score_design(plan, studies=150, draws=99, seed=1)
    assert made.truth == ("chinchilla",)
    assert made.shrinkage[0] == pytest.approx(plan.shrinkage[-1], abs=0.08)
    # Root mean squares of 150 errors have a standard error of 6 %.
    assert made.error_before[0] == pytest.approx(plan.before, rel=0.18)
    assert made.error_after[0] == pytest.approx(plan.after, rel=0.18)
    # Of 150 studies at 95 %, 133 to 149 but for one case in a hundred.
    assert 133 <= round(150 * made.covered_after[0]) <= 150
    assert 133 <= round(150 * made.covered_before[0]) <= 150
    assert abs(made.bias_after[0]) < 3 * plan.after / math.sqrt(150) + 0.02
    poor = iso.next_runs(plan.fit, BIG, candidates=iso.grid(C=[1e19], tpp=[20]), n=6)
    assert poor.shrinkage[-1] < 0.2
    assert iso.score_design(poor, studies=100, draws=99).shrinkage[0] == pytest.approx(poor.shrinkage[-1], abs=0.1)


def test_another_truth_shows_as_bias(plan):
    coupled = iso.fit("skaling", table(), objective="squared_log")
    strong = coupled.law.bind({**coupled.params, "k": 0.5})
    # Runs of a law that couples size and data, fitted by one that does not.
    made = table(noise=0.0)
    loss = strong(N=made["N"], D=made["D"]) * np.exp(0.002 * np.random.default_rng(0).standard_normal(16))
    fit = iso.fit("chinchilla", {**made, "loss": loss}, objective="squared_log")
    wrong = iso.next_runs(fit, BIG, candidates=GRID, budget=3e21, n=6, robust_to="skaling")
    score = iso.score_design(wrong, studies=60, draws=99)
    assert score.truth == ("chinchilla", "skaling")
    own, other = abs(score.bias_after)
    assert other > 3 * own
    assert score.error_after[1] > score.error_after[0]
    assert "skaling" in str(score)


def test_groups_are_simulated_and_resampled_whole():
    rng = np.random.default_rng(2)
    made = table(noise=0.0)
    made = {
        name: np.repeat(column, 3) * (1.0 if name != "D" else np.tile([0.5, 0.75, 1.0], 16))
        for name, column in made.items()
    }
    run = np.repeat(np.arange(16), 3)
    made["loss"] = TRUTH(N=made["N"], D=made["D"]) * np.exp(
        0.003 * rng.standard_normal(16)[run] + 0.001 * rng.standard_normal(48)
    )
    fit = iso.fit("chinchilla", iso.read({**made, "run": run}, group="run"), objective="squared_log")
    plan = iso.next_runs(fit, BIG, candidates=GRID, budget=3e21, n=6)
    score = iso.score_design(plan, studies=80, draws=99)
    assert score.covered_after[0] >= 0.87
    assert score.shrinkage[0] == pytest.approx(plan.shrinkage[-1], abs=0.12)


# What it looks like, files, refusals ---------------------------------------------------------------------------------


def test_tables_and_files(plan, tmp_path):
    assert list(plan.table) == ["N", "D", "C", "shrinkage", "alone", "cost"]
    framed = iso.next_runs(iso.fit("chinchilla", pd.DataFrame(table())), BIG, candidates=GRID, n=2)
    assert isinstance(framed.table, pd.DataFrame)
    assert math.isinf(framed.budget)
    assert json.loads(json.dumps(framed.to_dict()))["budget"] is None
    text = str(plan)
    assert text.splitlines()[
        0
    ] == f"{len(plan)} runs, chosen among 12 candidates, for {plan.cost.sum():.3g} of 3e21".replace("e+", "e")
    assert "compute-optimal N at C = 1e23: its interval is expected to shrink by" in text
    assert "extrapolated" in text  # the target lies beyond two decades
    for made in (plan, framed):
        made.save(tmp_path / "plan.json")
        back = iso.load(tmp_path / "plan.json")
        assert back.to_dict() == made.to_dict()
        assert str(back) == str(made)
    score = iso.score_design(iso.load(tmp_path / "plan.json"), studies=10, draws=50)
    assert score.to_dict() == iso.score_design(framed, studies=10, draws=50, n_threads=1).to_dict()
    assert score.table.shape == (1, 11)
    data = json.loads((tmp_path / "plan.json").read_text())
    del data["sha256"]
    for name, wrong in (("cost", data["runs"]["cost"][:-1]), ("alone", [2.0] * len(framed))):
        altered = {**data, "runs": {**data["runs"], name: wrong}}
        (tmp_path / "plan.json").write_text(json.dumps(altered))
        with pytest.raises(DataError) as caught:
            iso.load(tmp_path / "plan.json")
        assert caught.value.code == "file-schema"


def test_a_mapping_of_candidates_may_bring_its_costs(fit):
    offered = {"N": ["1B", "2B"], "D": ["20B", "40B"], "cost": [1.0, 3.0]}
    plan = iso.next_runs(fit, BIG, candidates=offered, budget=2, n=5)
    assert plan.cost.tolist() == [1.0, 1.0]


def test_a_frame_or_a_file_of_candidates_will_do(fit, tmp_path):
    offered = {"N": [1e9, 2e9, 4e9], "tpp": [20.0, 5.0, 80.0], "cost": [1.0, 3.0, 2.0]}
    plan = iso.next_runs(fit, BIG, candidates=offered, budget=4, n=5)
    assert plan.columns["D"][0] / plan.columns["N"][0] in (20.0, 5.0, 80.0)
    assert "tpp" not in plan.columns
    path = tmp_path / "candidates.csv"
    pl.DataFrame(offered).write_csv(path)
    for given in (pd.DataFrame(offered), pl.DataFrame(offered), path):
        assert iso.next_runs(fit, BIG, candidates=given, budget=4, n=5).to_dict() == plan.to_dict()
    assert list(offered) == ["N", "tpp", "cost"]
    odd = pd.DataFrame({"params": [1e9], "tokens": [2e10]})
    with pytest.raises(DataError, match="N, D, C is not given and does not follow from the columns params, tokens"):
        iso.next_runs(fit, BIG, candidates=odd)
    with pytest.raises(OptionError, match="two of N, D, C and tpp, not tpp; c is taken for a further variable"):
        iso.grid(c=[1e19], tpp=[20])


@pytest.mark.parametrize(
    "flops", [iso.Transformer(aspect=100, vocab=50_000, seq=131_072), lambda N: 6 * N + 3e4 * N**0.6, 8.0]
)
def test_the_target_is_the_size_that_allocate_finds(fit, flops, tmp_path):
    target = iso.Target.allocation(C=1e23, flops=flops)
    value = target.values(fit.bound, fit.vector[None, :])[0]
    assert math.exp(value) == pytest.approx(fit.allocate(C=1e23, flops=flops).N, rel=1e-12)
    assert "FLOPs" in str(target)
    plan = iso.next_runs(fit, target, candidates=GRID, budget=3e21, n=3)
    assert 0.05 < plan.shrinkage[-1] < 1.0
    if isinstance(flops, (float, iso.Transformer)):
        plan.save(tmp_path / "plan.json")
        back = iso.load(tmp_path / "plan.json")
        assert back.target == target
        assert str(back) == str(plan)
    else:
        with pytest.raises(OptionError, match="function, which no file can hold"):
            plan.save(tmp_path / "plan.json")


def test_flops_of_a_target_are_checked(fit):
    with pytest.raises(OptionError, match="neither '6ND' nor"):
        iso.Target.allocation(C=1e23, flops="7ND")
    with pytest.raises(OptionError, match="falls from N"):
        iso.next_runs(fit, iso.Target.allocation(C=1e23, flops=lambda N: 6e12 / N), candidates=GRID)
    columns = {"params_non_embedding" if name == "N" else name: column for name, column in table().items()}
    made = iso.fit("chinchilla", iso.read(columns, N="params_non_embedding"), objective="squared_log")
    model = iso.Transformer(layers=24, vocab=50_000, seq=8192)
    with pytest.raises(OptionError, match="the runs count non-embedding parameters as N"):
        iso.next_runs(made, iso.Target.allocation(C=1e23, flops=model), candidates=GRID)


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"budget": 1e18}, OptionError, "budget-too-small"),
        ({"budget": math.nan}, OptionError, "budget-too-small"),
        ({"n": 0}, OptionError, "option"),
        ({"candidates": {"N": [], "D": []}}, DataError, "data-empty"),
        ({"candidates": {"N": [1e9]}}, DataError, "data-missing-role"),
        ({"candidates": {"N": [1e9, 2e9], "D": [1e10]}}, DataError, "data-shape"),
        ({"candidates": {"N": [1e9], "D": [-1e10]}}, DataError, "data-nonpositive"),
        ({"candidates": [1e19]}, DataError, "data-source"),
        ({"target": 1e25}, OptionError, "option"),
        ({"target": iso.Target.parameter("gamma")}, LawError, "law-unknown-name"),
        ({"target": iso.Target.loss(N=1e9)}, LawError, "law-missing-name"),
        ({"target": iso.Target.parameter("alpha"), "robust_to": ["skaling"]}, OptionError, "option"),
    ],
)
def test_bad_input_has_a_code(fit, options, error, code):
    with pytest.raises(error) as caught:
        iso.next_runs(fit, **{"target": BIG, "candidates": GRID, **options})
    assert caught.value.code == code
    assert code in CODES


def test_laws_and_grids_that_cannot_be_are_refused(fit, plan):
    alone = iso.fit("E + A / N**alpha", table(), objective="squared_log")
    with pytest.raises(LawError) as caught:
        iso.next_runs(alone, BIG, candidates=GRID)
    assert caught.value.code == "law-missing-name"
    for wrong in ({"C": [1e19]}, {"C": [1e19], "tpp": [20], "N": [1e9]}):
        with pytest.raises(OptionError, match="two of N, D, C and tpp"):
            iso.grid(**wrong)
    with pytest.raises(DataError, match="tpp=\\[\\] holds no values"):
        iso.grid(C=[1e19], tpp=[])
    with pytest.raises(DataError) as caught:
        iso.grid(C=[1e19, 0.0], tpp=[20])
    assert caught.value.code == "data-nonpositive"
    with pytest.raises(OptionError, match="name a law"):
        iso.score_design(plan, truths=[])
    of_alpha = iso.next_runs(fit, iso.Target.parameter("alpha"), candidates=GRID, n=2)
    with pytest.raises(OptionError, match="'alpha' is a parameter of 'chinchilla', and says nothing of 'skaling'"):
        iso.score_design(of_alpha, truths=["skaling"], studies=10)
    five = iso.fit("chinchilla", {name: column[:5] for name, column in table().items()}, objective="squared_log")
    with pytest.raises(DataError) as caught:
        iso.next_runs(five, BIG, candidates=GRID)
    assert caught.value.code == "data-too-few-points"
    with pytest.raises(OptionError):
        iso.Target.loss()
    with pytest.raises(DataError):
        iso.Target.allocation(C=-1.0)


def test_weights_of_the_runs_are_kept_in_simulated_studies(fit):
    """A run of weight zero changes nothing; a new run counts like a middling one."""
    data = table()
    more = {name: np.append(column, 2.0 * column[-1]) for name, column in data.items()}
    weighted = iso.fit("chinchilla", more, objective="squared_log", weights=np.append(np.ones(16), 0.0))
    plans = [iso.next_runs(one, BIG, candidates=GRID, budget=3e21, n=2, draws=4) for one in (weighted, fit)]
    scores = [iso.score_design(plan, truths=["chinchilla"], studies=20, draws=20, seed=1) for plan in plans]
    assert scores[0].width_after[0] == pytest.approx(scores[1].width_after[0], rel=1e-6)
    doubled = iso.fit("chinchilla", data, objective="squared_log", weights=np.full(16, 2.0))
    plan = iso.next_runs(doubled, BIG, candidates=GRID, budget=3e21, n=2, draws=4)
    found = iso.score_design(plan, truths=["chinchilla"], studies=20, draws=20, seed=1)
    assert found.width_after[0] == pytest.approx(scores[1].width_after[0], rel=1e-3)


def test_candidates_of_which_there_are_none_are_refused(fit):
    none = iso.grid(C=[1e19], tpp=[20])
    empty = type(none)(columns={name: column[:0] for name, column in none.columns.items()}, cost=none.cost[:0])
    with pytest.raises(DataError) as caught:
        iso.next_runs(fit, BIG, candidates=empty)
    assert caught.value.code == "data-empty"
