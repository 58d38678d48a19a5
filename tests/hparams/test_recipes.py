"""Other recipes, published laws, sensitivity, the critical batch, and the check of runs."""

import math
from dataclasses import replace

import numpy as np
import pytest

import isoloss as iso
from isoloss import simulate
from isoloss.hparams.powers import from_recipe
from isoloss.hparams.sensitivity import SensitivityRow
from isoloss.hparams.sweep import sweep_of

# --- recipes --------------------------------------------------------------------------------------


def test_the_published_recipe_on_the_released_rows(dense):
    """Golden: 129 rows; lr = 77.7 N^-0.766 D^0.197, batch = 0.2085 D^0.6125; sd of the exponents .054, .033, .038."""
    hp = iso.fit_hparams(dense, recipe="steplaw", threshold=0.01)
    assert int((hp.sweep.excess < 0.0025).sum()) == 129
    powers = hp.powers
    assert powers.c == pytest.approx(77.7, abs=0.05)
    assert powers.exponents["lr_N"] == pytest.approx(-0.766, abs=5e-4)
    assert powers.exponents["lr_D"] == pytest.approx(0.197, abs=5e-4)
    assert powers.d == pytest.approx(0.2085, abs=5e-5)
    assert powers.exponents["batch_D"] == pytest.approx(0.6125, abs=5e-5)
    assert powers.exponents["batch_N"] == 0.0
    spread = powers.draws.std(axis=0)
    np.testing.assert_allclose(spread[[1, 2, 5]], [0.054, 0.033, 0.038], rtol=0.08)
    assert powers.mean["lr_N"] == pytest.approx(-0.766, abs=0.006)
    best = hp.predict(N="7B", D="1.4T")
    assert best.recipe == "steplaw"
    assert best.lr == pytest.approx(powers.c * 7e9 ** powers.exponents["lr_N"] * 1.4e12 ** powers.exponents["lr_D"])


def test_the_published_step_law_from_its_bootstrap_file(data_dir):
    """Golden: the mean of the 1,000 rows gives 1.7973, -0.71292, 0.30749; 0.58069, 0.57094."""
    table = np.genfromtxt(data_dir / "steplaw_published_bootstrap.csv", delimiter=",", names=True)
    mean = [np.mean(table[name]) for name in table.dtype.names]
    assert math.exp(mean[0]) == pytest.approx(1.7973, abs=5e-5)
    assert mean[1:3] == pytest.approx([-0.71292, 0.30749], abs=5e-6)
    assert math.exp(mean[3]) == pytest.approx(0.58069, abs=5e-6)
    assert mean[4] == pytest.approx(0.57094, abs=5e-6)


@pytest.mark.parametrize("recipe", ["within", "argmin", "surfaces", "steplaw"])
def test_recipes_find_exact_power_laws(recipe, exact):
    hp = iso.fit_hparams(exact(batch=(3e5, 0.0, 0.5)), recipe=recipe, draws=50, threshold=0.02)
    assert hp.powers.recipe == recipe
    for name, truth in {"lr_N": -0.6, "lr_D": 0.2, "batch_N": 0.0, "batch_D": 0.5}.items():
        assert hp.powers.exponents[name] == pytest.approx(truth, abs=1e-6)


def test_recipes_say_when_there_are_too_few_cells(simulated):
    sweep = sweep_of(simulated)
    with pytest.raises(iso.DataError, match="too few for power laws") as caught:
        from_recipe("surfaces", sweep, [None] * sweep.cells)
    assert caught.value.code == "hparams-too-few-runs"


# --- sensitivity, alternatives, critical batch ----------------------------------------------------


def test_one_table_of_every_arbitrary_choice(fitted):
    table = fitted.sensitivity(N=1e9, D=4e10)
    assert [row.choice for row in table.rows if row.used] == list(dict.fromkeys(row.choice for row in table.rows))
    answer = fitted.predict(N=1e9, D=4e10)
    for row in table.rows:
        if row.used:
            assert (row.lr, row.batch) == pytest.approx((answer.lr, answer.batch), rel=1e-6)
    assert table.lr[0] <= answer.lr <= table.lr[1]
    assert "threshold" in str(table)
    assert len(table.to_frame()["lr"]) == len(table)
    with pytest.raises(iso.IsolossError, match="did you mean 'threshold'"):
        fitted.sensitivity("treshold")


def test_reasons_and_doubts_of_single_choices_leave_the_table_readable():
    sweep = iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160], settings=4)
    table = iso.fit_hparams(iso.read(sweep), draws=0, threshold=0.05).sensitivity("threshold", N="1B", D="20B")
    steep = table.rows[0]  # four settings a side leave next to nothing within 0.5 %: a batch of a dozen tokens
    assert (steep.value, steep.doubts) == ("0.5 %", "at-bound")
    assert [row.doubts for row in table.rows[1:]] == [""] * (len(table) - 1)
    assert str(table).splitlines()[2].endswith("%  at-bound")
    reason = "no surface fits these runs: the limit of iterations was reached"
    nothing = SensitivityRow(choice="objective", value="squared errors", used=False, lr=np.nan, batch=np.nan,
                             excess=np.nan, note=reason)  # fmt: skip
    lines = str(replace(table, rows=(*table.rows, nothing, nothing))).splitlines()
    assert lines[-2].split() == ["objective", "squared", "errors", "none", "[1]"]
    assert lines[-1] == f"[1] {reason}"
    assert max(map(len, lines[:-1])) < 90


def test_recipes_side_by_side(fitted):
    side = fitted.alternatives(N=1e9, D=4e10)
    assert list(side.answers)[:5] == ["joint", "steplaw", "within", "argmin", "surfaces"]
    assert side.excess["joint"] == pytest.approx(0.0, abs=1e-9)
    assert all(side.answers[name].lr_interval[0] < side.answers[name].lr_interval[1] for name in ("joint", "argmin"))
    assert "porian:porian2024" in side.answers
    assert "minicpm:hu2024" in side.notes


def test_critical_batch_by_its_definition(exact):
    """At fixed loss: ln F falls by 0.2 saved tokens as much as the batch costs."""
    hp = iso.fit_hparams(exact(), draws=0, threshold=0.02)
    found = hp.critical_batch(N=3e8, D=2e10, overhead=0.2)
    n, d = np.log(hp.sweep.N), np.log(hp.sweep.D)
    slope = np.linalg.lstsq(np.column_stack([np.ones(12), n, d]), np.log(hp.joint.floor), rcond=None)[0][2]
    expected = 3e5 * np.exp(np.sqrt(-slope * np.log(1.2) / 0.004))
    assert found.batch == pytest.approx(expected, rel=2e-3)
    assert found.reached
    far = hp.critical_batch(N=3e8, D=2e10, overhead=30.0)
    assert not far.reached
    assert [w.code for w in far.warnings] == ["critical-batch-unreached"]
    with pytest.raises(iso.IsolossError, match="overhead"):
        hp.critical_batch(N=3e8, D=2e10, overhead=0.0)


# --- check ----------------------------------------------------------------------------------------


def test_check_finds_what_the_dense_sweep_holds(dense):
    found = dense.check()
    assert (found.runs, found.cells, found.diverged) == (1911, 17, 181)
    assert "runs-diverged" in found.codes
    assert "optimum-at-edge" not in found.codes
    assert found.tokens_per_parameter == pytest.approx((18.6, 466), rel=0.01)
    assert "1,911 runs in 17 cells" in str(found)


def test_check_doubts_units(exact):
    good = exact()
    table = {name: np.asarray(good[name]).copy() for name in ("N", "D", "lr", "batch", "loss")}
    assert iso.read(table).check().warnings == ()
    for name, factor, role in (("batch", 1 / 2048, "batch"), ("lr", 1e4, "lr"), ("N", 1e-6, "N"), ("D", 1e-6, "D")):
        wrong = {**table, name: table[name] * factor}
        notices = [w for w in iso.read(wrong).check().warnings if w.code == "unit-doubtful"]
        assert role in [w.details["role"] for w in notices]


def test_check_measures_the_noise_of_repeated_runs():
    sizes, ratios = [1e8, 2e8, 5e8, 1e9], [10, 40, 160]
    runs = iso.read(simulate.sweep(N=sizes, tokens_per_parameter=ratios, settings=3, replicas=2, noise=2e-3, seed=0))
    found = runs.check()
    assert found.repeated == runs.n
    assert found.noise == pytest.approx(2e-3, rel=0.2)
    one_ratio = iso.read(simulate.sweep(N=sizes, tokens_per_parameter=[20], settings=3, seed=0)).check()
    assert "narrow-tokens-per-parameter" in one_ratio.codes
    plain = iso.read({"N": [1e8, 2e8], "D": [2e9, 9e9], "loss": [3.0, 2.8]}).check()
    assert (plain.cells, plain.diverged) == (2, 0)
