"""The inference-adjusted optimum against the paper's figures and a search."""

import numpy as np
import pytest

import isoloss as iso

_KEY = "sardana2024"


def optimum(L, D_inf):
    return tuple(iso.laws.get(f"inference_optimum_{x}").bind(_KEY)(L=L, D_inf=D_inf) for x in "ND")


def compute_optimal(N):
    """Tokens and loss of a compute-optimal model of that size."""
    p = iso.laws.get("inference_optimum_N").published[_KEY].params
    G = (p["alpha"] * p["A"] / (p["beta"] * p["B"])) ** (1 / (p["alpha"] + p["beta"]))
    D = (N / G) ** (p["alpha"] / p["beta"]) / G
    return D, p["E"] + p["A"] / N ** p["alpha"] + p["B"] / D ** p["beta"]


@pytest.mark.parametrize(
    ("N", "D_inf", "best", "data", "saved"),
    [(13e9, 2e12, 6.968e9, 2.165, 0.1745), (30e9, 1e13, 13.61e9, 2.845, 0.2798)],
)
def test_the_figures_of_the_paper(N, D_inf, best, data, saved):
    D, L = compute_optimal(N)
    n, d = optimum(L, D_inf)
    assert n == pytest.approx(best, rel=3e-4)
    assert d / D == pytest.approx(data, rel=5e-4)
    assert 1 - (6 * n * d + 2 * n * D_inf) / (6 * N * D + 2 * N * D_inf) == pytest.approx(saved, abs=5e-5)


def test_the_example_of_the_authors_read_me():
    # python compute_optimal.py --loss 1.947 --inference_tokens 2e12 prints 2.418e+10 and 2.657e+12.
    n, d = optimum(1.947, 2e12)
    assert (f"{n:.3e}", f"{d:.3e}") == ("2.418e+10", "2.657e+12")
    assert not iso.laws.get("inference_optimum_N").published[_KEY].second_hand


def test_without_inference_it_is_the_compute_optimum():
    for N in (1e8, 1e10, 1e12):
        D, L = compute_optimal(N)
        assert optimum(L, 1e-6) == pytest.approx((N, D), rel=1e-8)


def test_no_other_size_of_the_same_loss_costs_less():
    p = iso.laws.get("inference_optimum_N").published[_KEY].params
    n, d = optimum(2.1, 3e12)
    loss = p["E"] + p["A"] / n ** p["alpha"] + p["B"] / d ** p["beta"]
    assert loss == pytest.approx(2.1, rel=1e-9)
    N = n * np.geomspace(0.8, 1.25, 41)
    D = (p["B"] / (2.1 - p["E"] - p["A"] / N ** p["alpha"])) ** (1 / p["beta"])
    cost = 6 * N * D + 2 * N * 3e12
    assert cost.argmin() == 20


def test_a_loss_below_the_floor_has_no_optimum():
    assert np.isnan(optimum(1.5, 1e12)).all()
