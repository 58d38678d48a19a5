"""Influence, outliers, under-tuned rungs, designs on a ray, and the multiverse of choices."""

import math

import numpy as np
import pandas as pd
import pytest

import isoloss as iso
from isoloss import diagnostics
from isoloss.errors import DataError, FitError, OptionError
from isoloss.stats.design import ray


def sweep(**options):
    return iso.simulate.sweep(settings=1, seed=0, **options)


@pytest.fixture(scope="module")
def fitted():
    return iso.fit("chinchilla", sweep(), objective="huber_log")


# Influence -----------------------------------------------------------------------------------------------------------


def test_leaving_a_run_out_is_the_fit_without_it(fitted):
    found = diagnostics.influence(fitted)
    assert len(found.labels) == fitted.runs.n
    for k in (0, 7, 30):
        (row,) = found.rows[k]
        alone = iso.fit("chinchilla", fitted.runs.where(np.arange(fitted.runs.n) != row), objective="huber_log")
        np.testing.assert_allclose(found.params[k], alone.vector, rtol=1e-5)
        plan = alone.allocate(C=10 * fitted.runs["C"].max())
        assert found.quantities["N"][k] == pytest.approx(plan.N, rel=1e-3)
        assert found.quantities["loss"][k] == pytest.approx(plan.loss, rel=1e-6)
    assert np.all(np.diff(found.share) <= 0.0)
    assert math.sqrt(np.mean(found.share**2)) == pytest.approx(1.0)
    assert "times the typical run" in str(found)


def test_groups_are_left_out_whole():
    table = sweep()
    table["run"] = np.arange(len(table["N"])) // 7
    made = iso.fit("chinchilla", iso.read(table, group="run"))
    found = diagnostics.influence(made)
    assert len(found.labels) == 8
    assert sorted(row for rows in found.rows for row in rows) == list(range(56))
    assert diagnostics.influence(made, by="row").labels[0].startswith("row")
    assert len(diagnostics.influence(made, by="N").labels) == 8
    with pytest.raises(DataError) as caught:
        diagnostics.influence(made, by="batchsize")
    assert caught.value.code == "data-missing-column"


def test_a_law_of_other_variables_decides_by_the_largest_run():
    N = np.logspace(7, 10, 12)
    noise = 1 + 0.001 * np.random.default_rng(0).standard_normal(12)
    made = iso.fit("E + A / N**alpha", {"N": N, "loss": (1.8 + 300 / N**0.3) * noise}, objective="squared_log")
    found = diagnostics.influence(made)
    assert found.question == "prediction of the largest run"
    assert found.estimate["loss"] == pytest.approx(made.predict(N=N.max()))


def test_influence_does_not_depend_on_threads(fitted):
    one, two = (diagnostics.influence(fitted, n_threads=k) for k in (1, 2))
    assert np.array_equal(one.params, two.params)
    assert one.labels == two.labels


def test_influence_of_too_many_runs_is_refused(fitted, monkeypatch):
    monkeypatch.setattr(diagnostics, "_MOST_CELLS", 1000)
    with pytest.raises(OptionError, match="by="):
        diagnostics.influence(fitted)


# Outliers ------------------------------------------------------------------------------------------------------------


def test_outliers_come_with_their_sign():
    table = sweep()
    table["loss"][3] *= 1.05
    table["loss"][9] *= 0.96
    found = diagnostics.outliers(iso.fit("chinchilla", table, objective="huber_log"))
    assert found.rows[:2] == (3, 9)
    assert found.score[0] > 0.0 > found.score[1]
    assert "row 3" in str(found)
    assert found.sigma == pytest.approx(0.001, rel=0.6)


def test_clean_runs_have_no_outliers(fitted):
    found = diagnostics.outliers(fitted, cut=8.0)
    assert found.rows == ()
    assert "no run of 56" in str(found)
    with pytest.raises(OptionError):
        diagnostics.outliers(fitted, cut=0.0)


# Under-tuned rungs ----------------------------------------------------------------------------------------------------


def test_only_the_badly_tuned_rung_is_named_and_a_well_tuned_one_never():
    table = sweep()
    bad = np.unique(table["N"])[2]
    table["loss"][table["N"] == bad] *= 1.01
    found = diagnostics.undertuned(iso.fit("chinchilla", table, objective="huber_log"), by="N")
    assert found.undertuned == (2,)
    assert "under-tuned?" in str(found)
    table["loss"][table["N"] == bad] /= 1.02  # better than the law is no fault
    assert diagnostics.undertuned(iso.fit("chinchilla", table, objective="huber_log"), by="N").undertuned == ()


# Designs -------------------------------------------------------------------------------------------------------------


def test_runs_on_a_ray_refuse_an_allocation_by_name():
    N = np.repeat(np.logspace(8, 10, 8), 2)
    loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, D=20 * N)
    loss = loss * np.exp(0.001 * np.random.default_rng(0).standard_normal(16))
    made = iso.fit("chinchilla", {"N": N, "D": 20 * N, "loss": loss})
    with pytest.raises(FitError, match=r"D = 20 N") as caught:
        made.allocate(C=1e22)
    assert caught.value.code == "design-ray"
    assert np.isfinite(made.predict(N=1e9, D=2e10))


@pytest.mark.parametrize(
    ("D", "told"),
    [
        (lambda N: 20 * N, "D = 20 N"),
        (lambda N: 1e20 / N, "N D = 1e+20, a single budget"),
        (lambda N: 7 * N**0.5, "D = 7 N^0.50"),
    ],
)
def test_rays_are_named(D, told):
    N = np.logspace(8, 10, 9)
    assert str(ray(iso.read({"N": N, "D": D(N), "loss": np.full(9, 3.0)}))) == told


def test_a_spread_design_is_no_ray(fitted):
    assert ray(fitted.runs) is None
    N = np.logspace(8, 10, 9)
    alone = iso.read({"N": N, "D": np.full(9, 1e11), "loss": np.full(9, 3.0)})
    assert ray(alone) is None


def test_runs_of_weight_zero_do_not_make_a_design():
    N = np.append(np.logspace(8, 10, 9), 1e9)
    D = np.append(20 * N[:9], 1e12)
    runs = iso.read({"N": N, "D": D, "loss": np.full(10, 3.0)})
    assert ray(runs) is None
    assert ray(runs, np.append(np.ones(9), 0.0)) is not None


# The multiverse -------------------------------------------------------------------------------------------------------


def test_every_combination_is_the_fit_with_those_choices(fitted):
    both = ["huber_log", "squared_log"]
    found = iso.multiverse(fitted, objectives=both, smallest=[0, 0.25], worst=[0, 3])
    assert len(found) == 8
    keep = fitted.runs["C"] >= np.sort(fitted.runs["C"])[14]
    keep &= fitted.runs["loss"] < np.sort(fitted.runs["loss"])[-3]
    alone = iso.fit("chinchilla", fitted.runs.where(keep), objective="squared_log")
    wanted = (alone.objective.describe(), "25 %", "3")
    taken = list(zip(*(found.choices[name] for name in ("objective", "smallest", "worst")), strict=True))
    np.testing.assert_allclose(found.params[taken.index(wanted)], alone.vector, rtol=1e-9)
    assert set(found.spread()["N"]) == {"objective", "smallest", "worst", "N"}
    assert found.spread()["N"]["N"] == 1.0
    assert "moved most by" in str(found)


def test_another_count_of_parameters_is_a_choice():
    frame = pd.DataFrame(sweep())
    made = iso.fit("chinchilla", frame)
    found = iso.multiverse(
        made, objectives=["huber_log"], smallest=[0], worst=[0], N={"non-embedding": 0.9 * frame["N"].to_numpy()}
    )
    assert found.choices["N"] == ("as read", "non-embedding")
    alpha = found.params[:, list(found.names).index("alpha")]
    assert alpha[0] == pytest.approx(alpha[1], rel=1e-5)  # a constant factor moves A, not alpha
    assert isinstance(found.table, pd.DataFrame)


def test_choices_out_of_range_are_refused_and_failed_fits_kept(fitted):
    with pytest.raises(OptionError):
        iso.multiverse(fitted, smallest=[1.0])
    with pytest.raises(OptionError):
        iso.multiverse(fitted, worst=[-1])
    with pytest.raises(OptionError):
        iso.multiverse(fitted, N={"x": [1.0]})
    found = iso.multiverse(fitted, objectives=["squared_log"], smallest=[0, 0.95], worst=[0])
    assert found.status == ("converged", "data-too-few-points")
    assert np.isnan(found.params[1]).all()
    assert "1 gave no answer (data-too-few-points 1)" in str(found)


def test_a_plan_carries_what_makes_its_fit_doubtful():
    table = sweep()
    table["N"] = np.full_like(table["N"], 1e9)
    made = iso.fit("chinchilla", iso.read({name: table[name] for name in ("N", "D", "loss")}))
    assert "not-identified" in [notice.code for notice in made.allocate(C=1e22).warnings]
