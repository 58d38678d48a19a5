"""Recipes compared at scale: what the answers are, how often they hold, and what is refused."""

import json
import math
import re

import numpy as np
import polars as pl
import pytest

import isoloss as iso
from isoloss.cli import main
from isoloss.comparison.frontier import root
from isoloss.errors import CODES, DataError, FitError, LawError, OptionError

LAW = iso.laws.get("chinchilla")
TRUTH = {"E": 1.82, "A": 482.0, "alpha": 0.348, "B": 2085.0, "beta": 0.366}
OTHER = {**TRUTH, "E": 1.79, "A": 530.0, "B": 2200.0}


def study(seed=0, noise=0.003, sizes=6, other=OTHER, ratios=(5, 10, 20, 40, 80), **columns):
    """Runs of two recipes at the same sizes and ratios."""
    rng = np.random.default_rng(seed)
    N = np.tile(np.repeat(np.geomspace(5e7, 2e9, sizes), len(ratios)), 2)
    D = N * np.tile(ratios, 2 * sizes)
    second = np.arange(len(N)) >= len(N) // 2
    loss = np.where(second, LAW.bind(other)(N=N, D=D), LAW.bind(TRUTH)(N=N, D=D))
    recipe = np.where(second, "new", "old")
    return {
        "N": N,
        "D": D,
        "loss": loss * np.exp(noise * rng.standard_normal(len(N))),
        "recipe": recipe,
        **{name: make(N, second) for name, make in columns.items()},
    }


def least(params, C):
    """The least loss at a compute, in closed form (Hoffmann et al. 2022, equation 4)."""
    E, A, a, B, b = (params[name] for name in ("E", "A", "alpha", "B", "beta"))
    G = (a * A / (b * B)) ** (1.0 / (a + b))
    N, D = G * (C / 6.0) ** (b / (a + b)), (C / 6.0) ** (a / (a + b)) / G
    return E + A / N**a + B / D**b


def own(made, recipe):
    return made.joint.of(made.fit.vector, made.recipes.index(recipe))


@pytest.fixture(scope="module")
def made():
    return iso.compare_recipes(study(), draws=400)


def test_the_difference_is_that_of_the_two_optima(made):
    C = np.array([1e20, 1e22, 1e24])
    found = made.difference(C)
    expected = least(own(made, "new"), C) - least(own(made, "old"), C)
    np.testing.assert_allclose(found.estimate, expected, atol=1e-9)
    assert (found.low < found.median).all()
    assert (found.median < found.high).all()
    np.testing.assert_allclose(6.0 * found.N * found.D, C, rtol=1e-12)
    np.testing.assert_allclose(6.0 * found.N_base * found.D_base, C, rtol=1e-12)
    np.testing.assert_allclose(found.loss - found.loss_base, found.estimate, atol=1e-12)
    assert [notice.code for notice in found.warnings] == ["extrapolated"]
    assert found.calibrated
    # Every draw has both recipes with the same exponents: far out the difference is surer than either loss.
    new, old = (made.frontier(name).loss(C)[1:, 2] for name in ("new", "old"))
    assert np.std(new - old) < 0.6 * min(np.std(new), np.std(old))


def test_the_crossing_is_where_the_difference_is_zero(made):
    found = made.crossover(before=1e24)
    assert found.ahead == ("new",)
    C = float(found.C[0])
    assert least(own(made, "new"), C) == pytest.approx(least(own(made, "old"), C), abs=1e-9)
    assert found.low[0] < C < found.high[0]
    assert found.crosses[0] + found.throughout[0] + found.never[0] == pytest.approx(1.0)
    assert found.crosses[0] > 0.95
    # The level at which zero leaves the interval of the difference is that at which C leaves the interval of crossings.
    for end in (float(found.low[0]), float(found.high[0])):
        chance = made.difference(end).better[0]
        assert min(chance, 1.0 - chance) == pytest.approx(0.025, abs=0.01)


def test_no_crossing_is_said_to_be_none():
    worse = iso.compare_recipes(study(other={**TRUTH, "E": 1.95, "A": 600.0}, noise=0.002), draws=100)
    found = worse.crossover()
    assert found.ahead == ("",)
    assert math.isinf(found.C[0])
    assert found.never[0] == 1.0
    base = worse.base
    assert found.first == (base,)
    assert f"none, and none in any draw: {base} is ahead throughout" in str(found)
    # Cut off before the crossing: most draws have none yet.
    late = iso.compare_recipes(study(), draws=200)
    cut = late.crossover(before=late.crossover(before=1e24).C[0] * 0.9)
    assert math.isinf(cut.C[0])
    assert 0.2 < cut.crosses[0] < 0.5
    assert "ahead in some draws only, from C = [" in str(cut)
    assert cut.first == (late.base,)
    with pytest.raises(OptionError, match="before=1e\\+10 is not above the smallest run"):
        late.crossover(before=1e10)


def test_the_base_may_be_the_one_that_overtakes(made):
    turned = iso.compare_recipes(study(), draws=400, base="new")
    assert turned.crossover(before=1e24).ahead == ("new",)
    np.testing.assert_allclose(turned.crossover(before=1e24).C, made.crossover(before=1e24).C, rtol=1e-9)
    np.testing.assert_allclose(turned.difference(1e23).estimate, -made.difference(1e23).estimate, atol=1e-12)
    assert turned.difference(1e23).better[0] == pytest.approx(1.0 - made.difference(1e23).better[0], abs=1e-9)


def test_the_multiplier_reaches_the_same_loss(made):
    C = np.array([1e20, 1e23])
    found = made.compute_multiplier(C)
    np.testing.assert_allclose(least(own(made, "new"), found.factor * C), least(own(made, "old"), C), atol=1e-9)
    assert found.factor[0] > 1.0 > found.factor[1]
    assert (found.low < found.factor).all()
    assert (found.factor < found.high).all()
    np.testing.assert_allclose(found.better, made.difference(C).better)


def test_a_loss_out_of_reach_has_no_multiplier():
    bad = iso.compare_recipes(study(other={**TRUTH, "E": 2.4}, noise=0.001), draws=60)
    found = bad.compute_multiplier(1e24)
    assert math.isinf(found.factor[0])
    assert "none [none, none]" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["factor"] == [None]


def test_a_fixed_ratio_compares_at_that_ratio():
    made = iso.compare_recipes(study(), draws=100, tokens_per_parameter=20)
    found = made.difference(1e22)
    N = math.sqrt(1e22 / 120.0)
    expected = [LAW.bind(own(made, name))(N=N, D=20 * N) for name in ("new", "old")]
    assert found.estimate[0] == pytest.approx(expected[0] - expected[1], abs=1e-12)
    assert found.N[0] == found.N_base[0] == pytest.approx(N)
    assert "at 20 tokens per parameter" in str(found)


def test_more_than_two_recipes_are_compared_with_the_base():
    table = study(sizes=5)
    third = {**study(sizes=5, other={**TRUTH, "E": 1.7}, seed=1)}
    keep = third["recipe"] == "new"
    third = {name: column[keep] for name, column in third.items()} | {"recipe": np.full(keep.sum(), "newest")}
    runs = {name: np.concatenate([table[name], third[name]]) for name in table}
    made = iso.compare_recipes(runs, draws=100, base="new")
    assert made.recipes == ("old", "new", "newest")
    found = made.difference(C=[1e21, 1e23])
    assert found.recipe == ("old", "old", "newest", "newest")
    assert len(found) == 4
    assert (found.estimate[2:] < -0.05).all()
    assert "  newest: C 1e21 |" in str(found)
    assert made.crossover(recipe="old").recipe == ("old",)
    with pytest.raises(OptionError, match="recipe='new' is the base"):
        made.difference(1e22, recipe="new")
    with pytest.raises(OptionError, match="no recipe 'oldest' among"):
        made.compute_multiplier(1e22, recipe="oldest")


# How often it holds --------------------------------------------------------------------------------------------------


def test_intervals_of_the_difference_cover_and_chances_are_uniform_where_recipes_are_alike():
    """Studies of 40 runs: 95 % intervals hold the truth, and of two equal recipes neither is favoured."""
    studies, C = 50, 1e22
    options = {"sizes": 5, "ratios": (5, 15, 40, 100)}
    settings = {"draws": 99, "objective": "squared_log"}
    truth = least(OTHER, C) - least(TRUTH, C)
    held, chances, shared = 0, [], []
    for seed in range(studies):
        unlike = iso.compare_recipes(study(seed, **options), share=[], **settings)
        found = unlike.difference(C)
        held += bool(found.low[0] <= truth <= found.high[0])
        alike = iso.compare_recipes(study(1000 + seed, other=TRUTH, **options), **settings)
        chances.append(float(alike.difference(C).better[0]))
        shared.append(alike.sharing.p)
    assert held >= 43  # of 50 at 0.95, fewer in one of 200 cases
    # Kolmogorov-Smirnov: 1.63 / sqrt(studies) is exceeded in one of 100 cases.
    for values in (np.sort(chances), np.sort(shared)):
        steps = np.arange(studies + 1) / studies
        distance = max(np.max(steps[1:] - values), np.max(values - steps[:-1]))
        assert distance < 1.63 / math.sqrt(studies)


def test_sharing_is_refused_where_exponents_differ():
    apart = {**TRUTH, "alpha": 0.43, "A": 2400.0, "beta": 0.30, "B": 560.0}
    made = iso.compare_recipes(study(other=apart), draws=200)
    assert made.sharing.p == pytest.approx(1 / 101)
    assert [notice.code for notice in made.warnings if notice.code == "sharing-refuted"] == ["sharing-refuted"]
    assert "the runs speak against it" in str(made)
    assert "sharing-refuted" in str(made.difference(1e22))
    free = iso.compare_recipes(study(other=apart), draws=100, share=[])
    assert free.sharing is None
    assert free.fit.params["alpha_new"] == pytest.approx(0.43, abs=0.05)
    assert free.fit.params["alpha_old"] == pytest.approx(0.348, abs=0.05)
    sure = iso.compare_recipes(study(other=apart), draws=400)
    assert sure.sharing.p < 0.01
    assert not sure.difference(1e22).calibrated
    assert "no confidence interval" in str(sure.difference(1e22))


def test_whole_groups_are_resampled_and_may_hold_both_recipes():
    pairs = study(noise=0.0, pair=lambda N, second: np.tile(np.arange(len(N) // 2), 2))
    shake = np.random.default_rng(3).standard_normal(len(pairs["N"]) // 2)
    pairs["loss"] = pairs["loss"] * np.exp(0.01 * np.tile(shake, 2))
    apart = iso.compare_recipes(iso.read(pairs, labels="recipe"), draws=300)
    paired = iso.compare_recipes(iso.read(pairs, labels="recipe", group="pair"), draws=300)
    assert (apart.draws.by, paired.draws.by, paired.draws.units) == ("row", "group", 30)
    wide, narrow = (one.difference(1e21) for one in (apart, paired))
    # What a pair has in common leaves the difference.
    assert narrow.high[0] - narrow.low[0] < 0.3 * (wide.high[0] - wide.low[0])


def test_recipes_may_be_groups_or_numbers():
    table = study(code=lambda N, second: np.where(second, 7, 3))
    texts = iso.compare_recipes(table, draws=50)
    grouped = iso.read(table, group="recipe")
    by_group = iso.compare_recipes(grouped, "group", draws=50)
    assert by_group.draws.by == "row"
    assert by_group.recipes == ("old", "new")
    numbers = iso.compare_recipes(iso.read(table, code="code"), "code", draws=50)
    assert numbers.recipes == ("3", "7")
    for other in (by_group, numbers):
        np.testing.assert_allclose(other.difference(1e22).estimate, texts.difference(1e22).estimate, rtol=1e-9)


# What is carried on, and what is refused -----------------------------------------------------------------------------


def test_runs_of_a_recipe_on_a_ray_are_refused_unless_compared_along_it():
    table = study()
    keep = (table["recipe"] == "old") | np.isclose(table["D"], 20 * table["N"])
    table = {name: column[keep] for name, column in table.items()}
    with pytest.raises(FitError, match=r"recipe 'new' lie on the ray D = 20 N: .* tokens_per_parameter=") as caught:
        iso.compare_recipes(table, draws=50)
    assert caught.value.code == "design-ray"
    along = iso.compare_recipes(table, draws=50, tokens_per_parameter=20)
    assert "design-ray" in [notice.code for notice in along.difference(1e21).warnings]
    assert not along.difference(1e21).calibrated
    everything = {name: column[np.isclose(table["D"], 20 * table["N"])] for name, column in table.items()}
    with pytest.raises(FitError, match="all runs lie on the ray D = 20 N"):
        iso.compare_recipes(everything, draws=50)


def test_few_runs_of_a_recipe_are_no_confidence():
    table = study()
    keep = (table["recipe"] == "old") | np.isin(np.arange(60), [33, 41, 59])
    few = iso.compare_recipes({name: column[keep] for name, column in table.items()}, draws=99)
    assert "3 runs of recipe 'new' for the 3 parameters of its own" in str(few)
    assert not few.difference(1e21).calibrated


def test_checkpoints_taken_for_runs_are_told():
    N = np.tile(np.repeat([1e8, 3e8, 1e9, 3e9], 8), 2)
    D = np.tile(np.arange(1, 9) * 2e9, 8)
    second = np.arange(64) >= 32
    rng = np.random.default_rng(0)
    loss = np.where(second, LAW.bind(OTHER)(N=N, D=D), LAW.bind(TRUTH)(N=N, D=D)) * np.exp(
        0.003 * rng.standard_normal(64)
    )
    made = iso.compare_recipes({"N": N, "D": D, "loss": loss, "recipe": second.astype(int)}, draws=99)
    told = {notice.code: notice.severity for notice in made.difference(1e21).warnings}
    assert told["checkpoints-as-runs"] == "serious"
    assert not made.difference(1e21).calibrated


@pytest.mark.parametrize(
    ("change", "options", "error", "code"),
    [
        ({"recipe": np.full(60, "old")}, {}, DataError, "recipes-too-few"),
        ({}, {"by": "recipee"}, DataError, "data-missing-column"),
        ({}, {"base": "olds"}, OptionError, "option"),
        ({}, {"law": "E + A / N**alpha", "share": ["alpha"]}, LawError, "law-missing-name"),
        ({}, {"share": ["alpah"]}, LawError, "law-unknown-name"),
        ({}, {"share": list(TRUTH)}, OptionError, "option"),
        ({}, {"draws": 0}, OptionError, "option"),
        ({}, {"tokens_per_parameter": -1}, OptionError, "option"),
        ({}, {"flops": "8ND"}, OptionError, "option"),
        ({}, {"at": {"U": 1.0}}, LawError, "law-unknown-name"),
    ],
)
def test_bad_input_has_a_code(change, options, error, code):
    with pytest.raises(error) as caught:
        iso.compare_recipes({**study(), **change}, **options)
    assert caught.value.code == code
    assert code in CODES


def test_runs_without_the_labels_say_how_to_read_them():
    runs = iso.read(study())
    with pytest.raises(DataError, match="read them with labels='recipe'"):
        iso.compare_recipes(runs)
    with pytest.raises(DataError) as caught:
        iso.compare_recipes(study(), draws=20).difference([1e22, -1.0])
    assert caught.value.code == "data-nonpositive"


def test_a_bound_at_the_least_loss_is_that_of_the_recipes_own_runs():
    """Losses of another recipe far below must not hold this one's floor down."""
    law = iso.law("E + A / N**alpha + B / D**beta", positive=["E", "A", "B"], bounds={"E": (0, "min_loss")})
    made = iso.compare_recipes(study(other={**TRUTH, "E": 0.2}, noise=0.001), law=law, draws=20, seed=1)
    assert made.fit.params["E_old"] == pytest.approx(1.82, abs=0.1)


# What it looks like, and files ---------------------------------------------------------------------------------------


def test_tables_come_in_the_library_of_the_runs(made):
    table = made.difference([1e21, 1e22]).table
    assert list(table["recipe"]) == ["new", "new"]
    framed = iso.compare_recipes(pl.DataFrame(study()), draws=20)
    assert isinstance(framed.crossover().table, pl.DataFrame)
    assert framed.compute_multiplier([1e21, 1e22]).table.shape == (2, 6)
    assert repr(made) == "RecipeComparison(old, new by chinchilla; base old)"
    text = str(made)
    assert text.startswith("old (30 runs), new (30 runs); chinchilla with alpha, beta shared; base old")
    assert "sharing alpha, beta: the runs do not speak against it (p = " in text
    assert json.loads(json.dumps(made.to_dict()))["sharing"]["share"] == ["alpha", "beta"]


def test_comparisons_are_saved_and_loaded(made, tmp_path):
    path = tmp_path / "recipes.json"
    made.save(path)
    back = iso.load(path)
    assert str(back) == str(made)
    for question in (
        lambda one: one.difference([1e21, 1e23]),
        lambda one: one.crossover(),
        lambda one: one.compute_multiplier(1e22),
    ):
        assert question(back).to_dict() == question(made).to_dict()
    text = path.read_text()
    for part, name, wrong in (("joint", "share", ["alpha"]), ("numbers", "flops", -6.0), ("fit", "draws", None)):
        data = json.loads(text)
        data[part][name] = wrong
        del data["sha256"]
        path.write_text(json.dumps(data))
        with pytest.raises(DataError) as caught:
            iso.load(path)
        assert caught.value.code == "file-schema"


MODELS = [
    iso.Transformer(layers=24, vocab=50_000, seq=8192),
    iso.Transformer(aspect=100, vocab=32_000, seq=131_072),
    lambda N: 6 * N + 3e4 * N**0.6,
    8.0,
]


@pytest.mark.parametrize("flops", MODELS)
@pytest.mark.parametrize("ratio", [None, 20.0])
def test_compute_is_counted_as_allocate_counts_it(flops, ratio):
    made = iso.compare_recipes(study(), draws=40, flops=flops, tokens_per_parameter=ratio)
    budgets = np.array([1e20, 1e23])
    found = made.difference(budgets)
    each = flops(found.N) if callable(flops) and not isinstance(flops, iso.Transformer) else None
    each = flops.per_token(found.N) if isinstance(flops, iso.Transformer) else each
    each = flops * found.N if isinstance(flops, float) else each
    np.testing.assert_allclose(each * found.D, budgets, rtol=1e-12)
    if ratio is not None:
        np.testing.assert_allclose(found.D / found.N, ratio, rtol=1e-12)
    bound = LAW.bind(own(made, "new"))
    for k, C in enumerate(budgets):  # by hand: no size of a fine grid is better, or the one at the ratio
        N = np.geomspace(1e7, 1e13, 100_001)
        one = flops.per_token(N) if isinstance(flops, iso.Transformer) else flops(N) if callable(flops) else flops * N
        D = C / one
        loss = bound(N=N, D=D)
        at = int(np.argmin(loss) if ratio is None else np.argmin(np.abs(np.log(D / N / ratio))))
        assert found.loss[k] == pytest.approx(loss[at], rel=1e-10 if ratio is None else 1e-4)
        assert found.N[k] == pytest.approx(N[at], rel=2e-3)
    factor = made.compute_multiplier(1e22)
    reached = made.frontier("new").loss(1e22 * factor.factor)[0]
    assert reached[0] == pytest.approx(made.frontier("old").loss(np.array([1e22]))[0, 0], abs=1e-9)
    # The runs are measured with the same yardstick: none of them lies beyond the runs.
    N, D = made.fit.runs["N"], made.fit.runs["D"]
    one = flops.per_token(N) if isinstance(flops, iso.Transformer) else flops(N) if callable(flops) else flops * N
    low, high = made.frontier("old").ranges["C"]
    assert (low, high) == pytest.approx(((one * D).min(), (one * D).max()), rel=1e-12)


def test_measured_compute_keeps_its_range():
    table = study()
    made = iso.compare_recipes({**table, "C": 7.0 * table["N"] * table["D"]}, draws=40, flops=MODELS[0])
    assert made.frontier("old").ranges["C"][1] == pytest.approx((7.0 * table["N"] * table["D"]).max())


def test_how_compute_was_counted_is_told_and_kept(tmp_path):
    path = tmp_path / "recipes.json"
    for flops, told in zip(
        MODELS, ("of 24 layers", "100 times its layers", None, "8 FLOPs per parameter"), strict=True
    ):
        made = iso.compare_recipes(study(), draws=40, flops=flops)
        if told is None:
            with pytest.raises(OptionError, match="function, which no file can hold"):
                made.save(path)
            assert "FLOPs by <lambda>" in str(made)
            continue
        assert told in str(made)
        made.save(path)
        back = iso.load(path)
        assert back.flops == flops
        assert str(back) == str(made)
        assert back.difference(1e23).to_dict() == made.difference(1e23).to_dict()
    with pytest.raises(OptionError, match="falls from N"):
        iso.compare_recipes(study(), draws=40, flops=lambda N: 6e12 / N)
    with pytest.raises(OptionError, match="nan FLOPs per token"):
        iso.compare_recipes(study(), draws=40, flops=lambda N: np.nan * N)
    columns = {"params_non_embedding" if name == "N" else name: column for name, column in study().items()}
    runs = iso.read(columns, N="params_non_embedding", labels="recipe")
    with pytest.raises(OptionError, match="the runs count non-embedding parameters as N and the Transformer total"):
        iso.compare_recipes(runs, flops=MODELS[0])


def test_messages_tell_what_to_give():
    law = "E + A / N**alpha + B / D**beta + c * lr"
    with pytest.raises(LawError, match=re.escape("give at={'lr': ...}")):
        iso.compare_recipes(study(lr=lambda N, _: np.full(len(N), 1e-3)), law=law)
    with pytest.raises(LawError, match="its parameters are Nc, alpha_N, alpha_D, Dc"):
        iso.compare_recipes(study(), law="kaplan")
    renamed = {"train_set" if name == "recipe" else name: column for name, column in study().items()}
    with pytest.raises(DataError, match="by='recipe' names no column of the runs; what names runs is train_set"):
        iso.compare_recipes(iso.read(renamed, labels="train_set"))


def test_numbers_that_are_none_are_named(made):
    for ask, name in (
        (lambda: made.difference("1e23x"), "C"),
        (lambda: made.crossover(before="late"), "before"),
        (lambda: iso.compare_recipes(study(), tokens_per_parameter="twenty"), "tokens_per_parameter"),
        (lambda: iso.Target.allocation(C="ten"), "C"),
        (lambda: iso.grid(C=["ten"], tpp=[20]), "C"),
        (lambda: made.fit.predict(N="big", D=1e10, recipe=0), "N"),
    ):
        with pytest.raises(DataError, match=f"{name}'?: '.*' is not a number; write 7e9, 7B or 1.4T$") as caught:
            ask()
        assert caught.value.code == "number-syntax"


def test_commands_say_where_the_fit_is(made, tmp_path, capsys):
    path = tmp_path / "recipes.json"
    made.save(path)
    for words in (["report", str(path), "--html", str(tmp_path / "a.html")], ["rerun", str(path)]):
        assert main(words) == 2
        assert f"a RecipeComparison: the fit that it rests on is iso.load('{path}').fit" in capsys.readouterr().err
    assert made.fit.reproduce().same


def test_results_do_not_depend_on_threads(made):
    again = iso.compare_recipes(study(), draws=400, n_threads=1)
    np.testing.assert_array_equal(again.draws.params, made.draws.params)
    assert again.sharing == made.sharing


def test_roots_are_found_of_many_functions_at_once():
    """Against Brent's method."""
    optimize = pytest.importorskip("scipy.optimize")
    shift = np.random.default_rng(0).uniform(-5.0, 5.0, 200)

    def value(x, rows):
        return np.tanh(x - shift[rows]) + 0.1 * (x - shift[rows]) ** 3 + 0.02

    rows = np.arange(200)
    low, high = np.full(200, -9.0), np.full(200, 8.0)
    found = root(value, low, high, value(low, rows), value(high, rows))
    expected = [optimize.brentq(lambda x, k=k: float(value(x, k)), -9.0, 8.0, xtol=1e-12) for k in range(200)]
    np.testing.assert_allclose(found, expected, atol=2e-9)


def test_sharing_that_cannot_be_tested_says_why():
    few = iso.compare_recipes(study(sizes=2, ratios=(5, 80)), draws=20, tokens_per_parameter=20)
    five = iso.compare_recipes(study(sizes=5, ratios=(5,)), draws=20, tokens_per_parameter=20)
    for made in (few, five):
        assert made.sharing.reason
        assert math.isnan(made.sharing.p)
        assert not made.sharing.refuted
        assert str(made.sharing) == f"sharing alpha, beta: not tested, {made.sharing.reason}"
        assert json.loads(json.dumps(made.to_dict()))["sharing"]["p"] is None
