"""Results that later versions are held to, bit for bit: ``python tests/golden_results/make.py`` writes golden.json.

Everything under ``exact`` comes from the core alone. Data are short decimal numbers, starts and weights are given, so
that no logarithm or exponential of NumPy, whose last bits differ between processors, has a part in it: the core's own
are the same bits at every SIMD level. What passes through NumPy stands under ``near``, and is compared to one part in
10^9. Write the file anew only where a change of results is meant, and say so in the changelog.
"""

import json
from pathlib import Path

import numpy as np

import isoloss as iso
from isoloss import _core

GOLDEN = Path(__file__).with_name("golden.json")
N = np.array([1e7, 3e7, 1e8, 3e8, 1e9, 3e9, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9, 2e7, 6e8, 5e9, 4e8])
D = np.array([2e8, 6e8, 2e9, 6e9, 2e10, 6e10, 2e9, 6e9, 2e10, 6e10, 2e11, 6e11, 7e9, 3e9, 9e10, 8e11])
LOSS = np.array([5.32, 4.45, 3.71, 3.21, 2.81, 2.54, 4.11, 3.58, 3.04, 2.73, 2.41, 2.23, 3.62, 3.35, 2.44, 2.39])
STARTS = [1.7, 400.0, 0.34, 410.0, 0.28]
OBJECTIVES = ["squared_raw", "squared_log", "huber_log", "absolute_log", "cauchy_log", "quantile_log:0.25"]
TEXTS = [
    "E + A / N**alpha + B / D**beta",
    "exp(-a * log(N)) + log1p(b * D) + sqrt(N) - tanh(a) + expit(b) + erf(a) + softplus(b)",
    "root(L, L**3 + a * L - log10(N), 0, 100) + expm1(-b) + log2(D) + where(N < D, a, b) + N // 7e6 + D % 7e6",
]


def digits(values):
    """Numbers so that they come back bit for bit."""
    return [float(value).hex() for value in np.ravel(values)]


def exact():
    """Results of the core alone."""
    found = {}
    weights = _core.resample_counts(7, 6, np.arange(16), 16)
    found["counts"] = digits(weights)
    for name in OBJECTIVES:
        table = iso.fit_many("chinchilla", {"N": N, "D": D}, LOSS, weights=weights, starts=STARTS, objective=name)
        found[f"fit_many {name}"] = digits(np.column_stack([table.params, table.value, table.status]))
    tall = {"N": np.tile(N, 4_000), "D": np.tile(D, 4_000)}
    # Rows that differ a little, by numbers that a double holds.
    ripple = 1.0 + (np.arange(len(tall["N"])) % 17 - 8) / 1024.0
    table = iso.fit_many("chinchilla", tall, np.tile(LOSS, 4_000) * ripple, starts=STARTS, objective="huber_log")
    found["fit_many of 64,000 rows"] = digits([*table.params[0], table.value[0], table.status[0]])
    for text in TEXTS:
        law = _core.Expression(text, variables=["N", "D"])
        at = np.array(STARTS[: len(law.parameters)]) if len(law.parameters) == 5 else np.array([0.75, 0.5])
        found[text] = [line for array in law.derivatives([N, D], at) for line in digits(array)]
    bound = iso.laws.get("chinchilla").bind(E=1.7, A=400.0, alpha=0.34, B=410.0, beta=0.28)
    axes = {"N": [k * 1e8 for k in range(1, 200)], "D": [k * 1e9 for k in range(1, 300)]}
    best = iso.search(bound, axes, where="6 * N * D <= 1e20", by=["N"], within=0.01)
    found["search"] = digits(np.column_stack([best.best, best.count]))
    return found


def near():
    """Results that have been through NumPy."""
    runs = iso.read({"N": N, "D": D, "loss": LOSS})
    fit = iso.fit("chinchilla", runs, seed=0)
    plan = fit.allocate(C=1e24)
    return {
        "fit": digits([*fit.params.values(), fit.value]),
        "allocate": digits([plan.N, plan.D, plan.loss]),
        "predict": digits(fit.predict(N=N, D=D)),
    }


def results():
    return {"exact": exact(), "near": near()}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(results(), indent=1) + "\n", encoding="utf-8")
