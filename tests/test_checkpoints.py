"""Checkpoints that nobody grouped are recognised, published tables of final losses are not taken for them."""

import numpy as np
import pytest

import isoloss as iso
from isoloss.runs.checkpoints import looks_like_checkpoints, same_rows
from isoloss.runs.doubts import unit_doubts


def several_runs(sizes=4, runs=3, points=20):
    """Runs of each size and another duration, saved at the same steps: their tokens recur within a size."""
    rng = np.random.default_rng(5)
    table = {"N": [], "tokens": [], "loss": [], "step": [], "recipe": [], "note": []}
    law = iso.laws.get("chinchilla").bind("besiroglu2024")
    for N in np.geomspace(1e8, 2e9, sizes):
        for run in range(runs):
            count = points - 4 * run
            step = 500 * np.arange(1, count + 1)
            tokens = 4e6 * step * (N / 1e8)
            own = 0.01 * rng.standard_normal()
            table["N"] += [N] * count
            table["tokens"] += tokens.tolist()
            table["loss"] += (law(N=N, D=tokens) * np.exp(own + 0.001 * rng.standard_normal(count))).tolist()
            table["step"] += step.tolist()
            table["recipe"] += [f"recipe {run}"] * count
            table["note"] += rng.random(count).tolist()
    return {name: np.array(values) for name, values in table.items()}


def test_runs_that_share_their_tokens_are_told_apart_by_columns_that_were_not_read():
    runs = iso.read(several_runs(), D="tokens")
    found = looks_like_checkpoints(runs)
    assert (found.runs, found.rows, found.evidence) == (12, 192, "unread steps")
    fit = iso.fit("chinchilla", runs)
    assert ("checkpoints-as-runs", "warning") in [(notice.code, notice.severity) for notice in fit.warnings]
    draws = fit.bootstrap(50)
    assert "checkpoints-as-runs" in [notice.code for notice in draws.warnings]
    assert "95 % interval" not in draws.summary()
    assert not draws.basis.calibrated
    likely = iso.fit("chinchilla", runs, objective="squared_log").posterior(400)
    assert "checkpoints-as-runs" in [notice.code for notice in likely.warnings]


def test_a_part_and_a_stored_copy_keep_what_is_known(tmp_path):
    runs = iso.read(several_runs(), D="tokens")
    small = runs.where(N=(0.0, 1e9))
    assert looks_like_checkpoints(small).runs == 9
    fit = iso.fit("chinchilla", runs)
    fit.save(tmp_path / "fit.json")
    assert looks_like_checkpoints(iso.load(tmp_path / "fit.json").runs).runs == 12
    assert looks_like_checkpoints(iso.read(runs, N="N")).runs == 12
    last = runs.where(np.append(np.diff(several_runs()["step"]) < 0, True))
    assert last.n == 12
    assert looks_like_checkpoints(last) is None  # one row of each run is left


def test_without_further_columns_even_steps_tell():
    table = several_runs()
    found = looks_like_checkpoints(iso.read({name: table[name] for name in ("N", "tokens", "loss")}, D="tokens"))
    assert (found.runs, found.rows, found.evidence) == (12, 192, "even steps")


def test_rows_that_are_named_each_are_runs():
    table = several_runs()
    table["name"] = np.array([f"run-{k}" for k in range(len(table["N"]))])
    assert iso.read(table, D="tokens").trail is None


def test_a_named_group_needs_no_guess():
    runs = iso.read(several_runs(), D="tokens", group="recipe")
    assert runs.trail is None
    assert looks_like_checkpoints(runs) is None


def test_durations_by_factors_are_no_ladder():
    N, D = np.repeat(np.geomspace(1e8, 1e9, 4), 20), np.tile(np.repeat(np.geomspace(1e9, 1e11, 10), 2), 4)
    assert looks_like_checkpoints(iso.read({"N": N, "D": D, "loss": 2 + 1e3 / D**0.3})) is None


def test_same_rows_agrees_with_numpy():
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, 4, 200).astype(float) for _ in range(3)]
    _, codes = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    np.testing.assert_array_equal(same_rows(columns), codes.ravel())


CURVES = [
    ("misfitting_checkpoints.csv", {"N": "params_non_embedding", "D": "tokens"}, "loss"),
    ("misfitting_checkpoints.csv", {"N": "params_non_embedding", "D": "tokens", "lr": "peak_lr"}, "loss"),
    ("olmo_ladder_loss_curves.csv", {"N": "params_non_embedding", "D": "tokens"}, "loss_c4_en"),
    ("routing_curves.csv", {"N": "dense_parameter_count", "S": "step"}, "loss_c4"),
]
FINAL = [
    ("chinchilla_epoch.csv", {"N": "params", "D": "tokens"}, "loss"),
    ("steplaw_dense.csv", {"N": "params_non_embedding", "D": "tokens"}, "loss_smooth"),
    ("steplaw_dense.csv", {"N": "params_non_embedding", "D": "tokens", "lr": "lr", "batch": "batch_size_tokens"},
     "loss_smooth"),
    ("steplaw_moe.csv", {"N": "params_total_non_embedding", "D": "tokens"}, "loss_smooth"),
    ("gadre_models.csv", {"N": "params_total", "D": "tokens"}, "loss_c4_val"),
    ("gadre_grid.csv", {"N": "params_nominal", "D": "tokens"}, "loss"),
    ("datablations.csv", {"N": "params", "D": "tokens"}, "loss"),
    ("datablations.csv", {"N": "params", "D": "tokens", "U": "unique_tokens"}, "loss"),
    ("misfitting_final.csv", {"N": "params_non_embedding", "D": "tokens"}, "loss"),
    ("isoflop_marin.csv", {"N": "params", "D": "tokens"}, "loss"),
    ("porian_rw_isoflop.csv", {"N": "params", "D": "tokens"}, "loss"),
    ("loss_to_loss_sweep.csv", {"N": "params", "D": "tokens"}, "loss_c4"),
    ("routing_final.csv", {"N": "dense_parameter_count", "S": "step"}, "loss_c4"),
]  # fmt: skip


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(("file", "roles", "loss"), CURVES + FINAL)
def test_published_tables(data_dir, file, roles, loss, bare):
    runs = iso.read(data_dir / file, **roles, loss=loss, drop_invalid=True)
    if bare:  # as arrays, without the columns that were not read
        runs = iso.read({name: runs[name] for name in runs.names})
    found = looks_like_checkpoints(runs)
    assert (found is not None) == ((file, roles, loss) in CURVES)


# Units ---------------------------------------------------------------------------------------------------------------


def test_doubts_about_units_reach_the_fit_where_the_law_uses_them():
    table = iso.simulate.sweep(settings=1, seed=0)
    table["N"] = table["N"] / 1e6
    fit = iso.fit("chinchilla", {name: table[name] for name in ("N", "D", "loss")})
    doubt = next(notice for notice in fit.warnings if notice.code == "unit-doubtful")
    assert (doubt.severity, doubt.details["role"]) == ("serious", "N")
    assert "millions" in fit.summary()
    runs = iso.read({"N": table["N"], "D": table["D"], "loss": table["loss"]})
    assert unit_doubts(runs) == [doubt]
    assert "unit-doubtful" not in [notice.code for notice in iso.fit("E + B / D**beta", runs).warnings]


def test_doubts_about_units_reach_a_law_of_hyper_parameters():
    table = iso.simulate.sweep(seed=0)
    runs = iso.read({**table, "batch": table["batch"] / 4096.0})
    warnings = iso.fit_hparams(runs, draws=10).warnings
    assert [notice.details["role"] for notice in warnings if notice.code == "unit-doubtful"] == ["batch"]


def alike(spread):
    """Checkpoints by uneven factors, whose runs each have an error of their own."""
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(8), 10)
    N, D = np.geomspace(1e8, 4e9, 8)[run], np.tile(np.geomspace(1e9, 5e10, 10), 8) * rng.uniform(0.8, 1.2, 8)[run]
    error = spread * rng.standard_normal(8)[run] + 0.001 * rng.standard_normal(80)
    return {"N": N, "D": D, "loss": (1.8 + 480.0 / N**0.35 + 2000.0 / D**0.37) * np.exp(error), "run": run}


def test_errors_that_are_alike_reach_whatever_takes_rows_one_by_one():
    from isoloss.comparison.criteria import criteria

    for spread, told in ((0.01, True), (0.0, False)):
        table = {name: column for name, column in alike(spread).items() if name != "run"}
        fit = iso.fit("chinchilla", table, objective="squared_log")
        made = (fit, fit.bootstrap(60), fit.posterior(400))
        assert [("checkpoints-as-runs" in [notice.code for notice in one.warnings]) for one in made] == [told] * 3
        profile = fit.profile("alpha")
        assert (profile.interval is None) == told
        assert ("checkpoints of the same run" in str(profile)) == told
        assert not criteria(fit).reason  # a law that is off has such errors, too, and is compared by its criteria


def test_even_steps_leave_no_likelihood_to_compare():
    from isoloss.comparison.criteria import criteria

    fit = iso.fit("chinchilla", iso.read(several_runs(), D="tokens"), objective="squared_log")
    assert criteria(fit).reason == "rows look like checkpoints of the same run"


def test_rows_of_named_groups_taken_one_by_one_are_told_where_they_err_together():
    for spread, told in ((0.01, True), (0.0, False)):
        fit = iso.fit("chinchilla", iso.read(alike(spread), group="run"), objective="squared_log")
        assert not fit.bootstrap(60).warnings
        draws = fit.bootstrap(60, by="row")
        assert [notice.code for notice in draws.warnings] == ["checkpoints-as-runs"] * told
        assert draws.calibrated() != told
        if told:
            assert "80 rows belong to 8 groups" in draws.warnings[0].message


def test_rounding_is_no_error_that_runs_share():
    table = alike(0.0)
    exact = 1.8 + 480.0 / table["N"] ** 0.35 + 2000.0 / table["D"] ** 0.37
    fit = iso.fit("chinchilla", {**table, "loss": exact}, objective="squared_log")
    assert "checkpoints-as-runs" not in [notice.code for notice in (*fit.warnings, *fit.bootstrap(60).warnings)]
