"""Laws beyond the first family on the published runs: what a refit must give."""

import csv

import numpy as np
import pytest
from scipy import stats

import isoloss as iso
from isoloss.laws.data_mixing import data_mixing


def columns(path, names, keep):
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if keep(row)]
    return [np.array([float(row[name]) for row in rows]) for name in names]


# Repeated data: the published objective and the better optimum beside it ---------------------------


@pytest.fixture(scope="module")
def repeats(data_dir):
    names = ("params", "tokens", "unique_tokens", "loss")
    N, D, U, loss = columns(data_dir / "datablations.csv", names, lambda row: row["in_published_fit"] == "1")
    assert len(loss) == 182
    return {"N": N, "D": D, "U": U, "loss": loss}


@pytest.fixture(scope="module")
def repeats_fit(repeats):
    base = iso.laws.get("data_constrained").published["muennighoff2023"].params
    fix = {name: base[name] for name in ("E", "A", "alpha", "B", "beta")}
    grid = [1.0, 5.0, 10.0, 20.0]
    return iso.fit("data_constrained", repeats, fix=fix, starts={"R_D": grid, "R_N": grid})


def test_the_published_decay_is_one_of_two_nearly_equal_optima(repeats, repeats_fit):
    law = iso.laws.get("data_constrained")
    variables = {name: repeats[name] for name in law.variables}
    published = law.recipe.objective.value(law.bind("muennighoff2023")(**variables), repeats["loss"])
    assert published == pytest.approx(0.0158259353, abs=1e-10)
    assert repeats_fit.value == pytest.approx(0.0158046625, abs=1e-10)
    assert repeats_fit.params["R_D"] == pytest.approx(95.4, abs=0.1)
    assert repeats_fit.params["R_N"] == pytest.approx(1.71, abs=0.01)


def test_the_decay_of_data_is_barely_identified(repeats, repeats_fit):
    # Held anywhere on the ridge the objective stays within half a per cent of the best.
    for held, value in ((12.0, 0.015855), (20.0, 0.015841), (50.0, 0.015808), (1000.0, 0.015878)):
        fix = {name: repeats_fit.params[name] for name in ("E", "A", "alpha", "B", "beta")}
        fit = iso.fit("data_constrained", repeats, fix={**fix, "R_D": held}, starts={"R_N": [1.0, 5.0, 20.0]})
        assert fit.value == pytest.approx(value, abs=1.5e-6)
        assert fit.value < 1.005 * repeats_fit.value


def test_the_published_decay_gives_the_values_of_the_released_notebook():
    bound = iso.laws.get("data_constrained").bind("muennighoff2023")
    assert bound(N=6.34e9, D=242e9, U=25e9) == pytest.approx(2.2256440889984477, rel=1e-14)
    assert bound(N=8.67e9, D=178e9, U=25e9) == pytest.approx(2.2269634075087867, rel=1e-14)
    # The read-me allocates 1e22 FLOPs to 7.02e9 parameters and 237.3e9 tokens.
    N = np.geomspace(1e9, 1e11, 20_001)
    best = N[np.argmin(bound(N=N, D=1e22 / (6 * N), U=np.full_like(N, 25e9)))]
    assert best == pytest.approx(7.02e9, rel=2e-3)
    assert 1e22 / (6 * best) == pytest.approx(237.3e9, rel=2e-3)


def test_the_variants_of_the_notebook_are_optima_of_their_own(repeats):
    for name, free in (("data_constrained_data_only", {"R_D"}), ("data_constrained_geometric", {"d", "n"})):
        law = iso.laws.get(name)
        published = law.published["muennighoff2023"].params
        fix = {key: value for key, value in published.items() if key not in free}
        fit = iso.fit(law, repeats, fix=fix, starts={key: [published[key] / 3, 3 * published[key]] for key in free})
        for key in free:
            assert fit.params[key] == pytest.approx(published[key], rel=2e-3)


# Routed models: the refits in the registry, which another program made from the same rows -----------------


@pytest.mark.parametrize(
    ("router", "key", "cutoff"), [("S-Base", "sbase", 8e11), ("RL-R", "rlr", 9e10), ("Hash", "hash", 9e10)]
)
def test_routed_models_are_refitted(data_dir, router, key, cutoff):
    def keep(row):
        same = row["routing_frequency"] == "0.5" and row["k"] == "1" and row["seed"] == "42"
        return same and row["router_type"] in (router, "Dense") and row["loss_validation"] not in ("", "nan")

    names = ("dense_parameter_count", "num_experts", "loss_validation")
    N, experts, loss = columns(data_dir / "routing_final.csv", names, keep)
    fit = iso.fit("routed", {"N": N, "experts": experts, "loss": loss})
    published = iso.laws.get("routed").published[f"clark2022_{key}_refit"].params
    assert fit.success
    assert fit.params == pytest.approx(dict(published), rel=1e-4)
    assert 0.0029 < np.sqrt(fit.value / len(loss)) / np.log(10) < 0.0033
    assert 10 ** (-fit.params["b"] / fit.params["c"]) == pytest.approx(cutoff, rel=0.1)


# The task ladder -----------------------------------------------------------------------------------


def ladder(data_dir, task, metric):
    def keep(row):
        return row["task"] == f"{task}_rc_5shot" and row["metric"] == metric and float(row["chinchilla_multiple"]) >= 1

    return columns(data_dir / "olmo_ladder_final.csv", ("params_non_embedding", "tokens", "value"), keep)


@pytest.mark.parametrize(("task", "key"), [("hellaswag_val", "hellaswag"), ("csqa_val", "csqa"), ("piqa_val", "piqa")])
def test_ladder_losses_are_predicted_as_published(data_dir, task, key):
    N, D, loss = ladder(data_dir, task, "bpb_correct")
    fit = iso.fit("ladder_task_loss", {"N": N, "D": D, "loss": loss})
    assert fit.success
    # Coefficients lie on ridges and are printed to two digits; the curves agree within the ladder.
    printed = iso.laws.get("ladder_task_loss").bind(f"bhagia2024_{key}")(N=N, D=D)
    np.testing.assert_allclose(fit.predict(N=N, D=D), printed, rtol=0.07)
    assert np.sqrt(np.mean(np.log(fit.predict(N=N, D=D) / loss) ** 2)) < 0.02


def test_ladder_accuracy_follows_its_loss(data_dir):
    _, _, loss = ladder(data_dir, "hellaswag_val", "bpb_correct")
    _, _, accuracy = ladder(data_dir, "hellaswag_val", "accuracy")
    bound = iso.laws.get("ladder_accuracy").bind("bhagia2024_hellaswag")
    assert np.abs(bound(L_task=loss) - accuracy).max() < 0.025


# Repeated sampling ---------------------------------------------------------------------------------


def test_coverage_of_the_largest_pythia_is_an_exponentiated_power_law(data_dir):
    keep = {"model": "Pythia 12B"}
    k, mean = columns(
        data_dir / "pass_at_k_math_mean.csv", ("k", "pass_at_k_mean"), lambda r: keep.items() <= r.items()
    )
    fit = iso.fit("coverage", iso.read({"k": k, "loss": mean}, k="k"))
    residual = mean - fit.predict(k=k)
    assert fit.success
    assert 1 - np.sum(residual**2) / np.sum((mean - mean.mean()) ** 2) > 0.99
    assert fit.params["a"] < 0
    assert fit.params["b"] == pytest.approx(-0.37, abs=0.05)


# Data mixtures -------------------------------------------------------------------------------------


def mixtures(path):
    with path.open() as file:
        rows = list(csv.DictReader(file))
    shares = np.array([[float(value) for name, value in row.items() if name.startswith("w_")] for row in rows])
    return shares, np.array([float(row["loss_pile_cc"]) for row in rows])


def test_the_mixing_law_ranks_unseen_mixtures_better_than_a_line(data_dir):
    shares, loss = mixtures(data_dir / "regmix_1m_train.csv")
    unseen, truth = mixtures(data_dir / "regmix_1m_test.csv")
    law = data_mixing(shares.shape[1])
    runs = iso.read({**dict(zip(law.variables, shares.T, strict=True)), "loss": loss}, **{v: v for v in law.variables})
    fit = iso.fit(law, runs, fix={"k": 1.0})
    assert fit.success
    predicted = fit.predict(**dict(zip(law.variables, unseen.T, strict=True)))
    design = np.column_stack([shares, np.ones(len(shares))])
    line = np.column_stack([unseen, np.ones(len(unseen))]) @ np.linalg.lstsq(design, loss, rcond=None)[0]
    assert stats.spearmanr(line, truth).statistic == pytest.approx(0.902, abs=5e-4)
    assert stats.spearmanr(predicted, truth).statistic > 0.96
    assert np.abs(predicted - truth).mean() < 0.6 * np.abs(line - truth).mean()


# Best sizes straight from runs ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "published"),
    [
        ("base,long,kaplan,kaplan,train", 0.8338),
        ("base,long,kaplan,standard,val", 0.7009),
        ("base,short,kaplan,standard,val", 0.6035),
        ("base,short,chinchilla,standard,val", 0.5714),
        ("tuned,short,const,standard,val", 0.4970),
    ],
)
def test_parabolas_give_the_exponents_that_resolved_the_discrepancy(data_dir, setting, published):
    # Porian et al. interpolate between runs instead; their exponents are those of lines through their optima.
    names = ("hparams", "warmup", "decay", "param_count", "loss_split")
    wanted = dict(zip(names, setting.split(","), strict=True))

    def keep(row):
        return wanted.items() <= row.items()

    N, C, loss = columns(data_dir / "porian_rw_isoflop.csv", ("params", "flops", "loss"), keep)
    found = iso.rules.get("isoflop_optima")(N=N, C=C, loss=loss, within=2.0)
    assert found.exponent == pytest.approx(published, abs=0.006)
    C, best = columns(data_dir / "porian_rw_optima_published.csv", ("flops", "n_opt"), lambda r: keep(r) and r["n_opt"])
    fit = iso.fit("optimal_N", {"C": C[np.isfinite(best)], "loss": best[np.isfinite(best)]})
    assert fit.params["a"] == pytest.approx(published, abs=5e-5)
