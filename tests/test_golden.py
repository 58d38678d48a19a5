"""Golden numbers on the digitised Chinchilla points (Besiroglu et al. 2024), recomputed with NumPy and SciPy.

Huber objectives are sums over runs. The parameters are ill-conditioned, so the value is judged first and predictions
count more than parameters; still all agree.
"""

import numpy as np
import pytest

import isoloss as iso
from isoloss.laws.compute_optimal import hoffmann_starts

NAMES = ("E", "A", "B", "alpha", "beta")
USUAL, ALL = "the usual 240", "all 245"
GOLDEN = [
    (iso.Huber(1e-3), USUAL, (1.817218098, 477.8258657, 2143.417285, 0.3473104987, 0.3671724309), 0.001018274018),
    (iso.Huber(1e-4), USUAL, (1.815823579, 478.6887052, 2065.412988, 0.3474088515, 0.3653847317), 0.0001117787482),
    (iso.Huber(1e-2), USUAL, (1.838078614, 538.7518601, 2905.599957, 0.3544155016, 0.3815375254), 0.004696224883),
    (iso.Huber(0.1), USUAL, (1.864550095, 593.3221018, 4875.637805, 0.3602527982, 0.4058833618), 0.005730943496),
    (iso.SquaredError("raw"), USUAL, (1.882813618, 567.80547, 7581.85232, 0.3576150928, 0.4276206209), 0.08320380769),
    (iso.AbsoluteError("log"), USUAL, (1.816864, 482.006, 2085.436, 0.347813, 0.365854), 1.1294947),
    (iso.Huber(1e-3), ALL, (1.891338499, 495.7260088, 12845.6133, 0.3493128937, 0.4530492957), 0.001826010523),
]
IDS = [f"{objective.name}-{objective.delta:g}-{rows.split()[-1]}" for objective, rows, _, _ in GOLDEN]


@pytest.fixture(scope="module")
def runs(data_dir):
    read = iso.read(data_dir / "chinchilla_epoch.csv", N="params", D="tokens", loss="loss", dropped="dropped_by_epoch")
    return {ALL: read, USUAL: read.where(dropped=0)}


def test_the_usual_rows_are_those_below_the_fifth_largest_loss(runs):
    loss = runs[ALL]["loss"]
    assert len(runs[ALL]) == 245
    assert sorted(runs[USUAL]["loss"]) == sorted(loss[loss < np.sort(loss)[-5]])


@pytest.mark.parametrize("starts", ["automatic", "law's own", "Hoffmann's 4,500"])
@pytest.mark.parametrize(("objective", "rows", "params", "value"), GOLDEN, ids=IDS)
def test_value_and_parameters(runs, objective, rows, params, value, starts):
    asked = {"automatic": 32, "law's own": None, "Hoffmann's 4,500": hoffmann_starts()}[starts]
    fit = iso.fit("chinchilla", runs[rows], objective=objective, starts=asked)
    assert fit.success
    assert fit.value <= value * (1.0 + 1e-7)
    assert fit.value == pytest.approx(value, rel=1e-6)  # and no better than the truth either
    recomputed = objective.value(fit.predict(N=runs[rows]["N"], D=runs[rows]["D"]), runs[rows]["loss"])
    assert fit.value == pytest.approx(recomputed, rel=1e-12)
    golden = dict(zip(NAMES, params, strict=True))
    for name in NAMES:
        assert fit.params[name] == pytest.approx(golden[name], rel=1e-4), name
    expected = fit.law.bind(golden)(N=[7e9, 70e9, 1e12], D=[1e11, 1.4e12, 1e13])
    assert fit.predict(N=[7e9, 70e9, 1e12], D=[1e11, 1.4e12, 1e13]) == pytest.approx(expected, rel=1e-5)


def test_most_of_hoffmanns_starts_reach_the_best_optimum(runs):
    fit = iso.fit("chinchilla", runs[USUAL], starts=hoffmann_starts())
    assert fit.basins.starts == 4500
    assert fit.basins.share > 0.95


def test_farseer_converges_on_the_chinchilla_points(runs):
    fit = iso.fit("farseer", runs[USUAL])
    assert fit.success, fit.status
    assert fit.basins.share > 0.8
    assert fit.value < GOLDEN[0][3]  # four parameters more than the law of the golden value


def test_tokens_per_parameter_at_gophers_compute(runs):
    fit = iso.fit("chinchilla", runs[USUAL])
    assert fit.allocate(C=5.76e23).tokens_per_parameter == pytest.approx(17.9, abs=0.05)
    published = iso.fit("chinchilla", runs[USUAL], objective=iso.AbsoluteError("log"))
    assert published.allocate(C=5.76e23).tokens_per_parameter == pytest.approx(18.3, abs=0.05)


def test_bootstrap_intervals_contain_the_centres_of_the_published_ones(runs):
    published = iso.laws.get("chinchilla").published["besiroglu2024"].intervals
    draws = iso.fit("chinchilla", runs[USUAL]).bootstrap(4000, seed=0, method="case")
    assert draws.params.shape == (4000, 5)
    assert draws.failed == 0
    intervals = draws.conf_int(0.95)
    for name, (low, high) in published.items():
        assert intervals[name][0] < 0.5 * (low + high) < intervals[name][1], name
        # Same data, same recipe but for the objective's own width: the widths agree too.
        assert intervals[name][1] - intervals[name][0] == pytest.approx(high - low, rel=0.25), name


def test_besiroglus_bootstrap_intervals_under_their_recipe(runs):
    """Their optimum is that of the absolute error; 4,000 resamples of rows, one warm start, percentiles."""
    published = iso.laws.get("chinchilla").published["besiroglu2024"].intervals
    fit = iso.fit("chinchilla", runs[USUAL], objective=iso.AbsoluteError("log"))
    draws = fit.bootstrap(4000, method="case", starts=0, seed=0)
    assert draws.failed == 0
    for name, (low, high) in draws.conf_int(interval="percentile").items():
        width = published[name][1] - published[name][0]
        # Two bootstraps of 4,000 draws differ by a few per cent of the width at their ends.
        assert low == pytest.approx(published[name][0], abs=0.08 * width), name
        assert high == pytest.approx(published[name][1], abs=0.08 * width), name


def test_fixing_and_tying_agree_with_the_free_fit_where_they_should(runs):
    free = iso.fit("chinchilla", runs[USUAL])
    fixed = iso.fit("chinchilla", runs[USUAL], fix={"E": free.params["E"]})
    assert fixed.value == pytest.approx(free.value, rel=1e-9)
    tied = iso.fit("chinchilla", runs[USUAL], tie={"beta": "alpha"})
    assert tied.params["alpha"] == tied.params["beta"]
    assert free.value < tied.value < 1.2 * free.value


def test_units_of_the_data_do_not_move_the_answer(runs):
    usual = runs[USUAL]
    natural = iso.fit("chinchilla", usual)
    billions = iso.fit("chinchilla", {"N": usual["N"] / 1e9, "D": usual["D"] / 1e9, "loss": usual["loss"]})
    assert billions.value == pytest.approx(natural.value, rel=1e-9)
    assert billions.params["alpha"] == pytest.approx(natural.params["alpha"], rel=1e-5)
