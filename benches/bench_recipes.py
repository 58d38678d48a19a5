"""How often the answers about two recipes hold: differences, crossings, multipliers, and chances of equal recipes.

    python benches/bench_recipes.py [--studies 200] [--seconds 200] [--quick]

Every study simulates runs of two recipes that share exponents, with 0.3 % of run-to-run noise, over sizes from 50M to
2B and 5 to 160 tokens per parameter. The second one is behind in the runs and overtakes at about twice the largest C.
Then it simulates a study in which both are the same recipe: there P(better) should be outside of 5 to 95 % in 10 of 100
studies, and sharing refuted at 5 % in 5. The table goes to docs/recipes.md. Finished parts are kept in
target/benches/recipes.jsonl: a run that --seconds ended goes on there.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np
from common import Ledger, markdown

import isoloss as iso

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipes.md"
LAW = iso.laws.get("chinchilla")
OLD = {"E": 1.82, "A": 482.0, "alpha": 0.348, "B": 2085.0, "beta": 0.366}
NEW = {**OLD, "E": 1.79, "A": 530.0, "B": 2250.0}
NOISE = 0.003
DRAWS = 299
PART = 20  # studies that are kept together
CELLS = ((20, "squared_log"), (20, "huber_log"), (54, "squared_log"))
NAMES = {"squared_log": "least squares", "huber_log": "Huber 1e-3"}


def least(params, C):
    """The least loss at a compute, in closed form (Hoffmann et al. 2022, equation 4)."""
    E, A, a, B, b = (params[name] for name in ("E", "A", "alpha", "B", "beta"))
    G = (a * A / (b * B)) ** (1.0 / (a + b))
    N, D = G * (C / 6.0) ** (b / (a + b)), (C / 6.0) ** (a / (a + b)) / G
    return E + A / N**a + B / D**b


def zero(function, low, high):
    """Where a function of ln C, positive at `low`, becomes zero."""
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if function(np.exp(middle)) > 0.0 else (low, middle)
    return float(np.exp(low))


def runs(n, other, rng):
    sizes = 5 if n == 20 else 9
    N = np.tile(np.repeat(np.geomspace(5e7, 2e9, sizes), n // sizes), 2)
    D = N * np.tile(np.geomspace(5.0, 160.0, n // sizes), 2 * sizes)
    second = np.arange(2 * n) >= n
    loss = np.where(second, LAW.bind(other)(N=N, D=D), LAW.bind(OLD)(N=N, D=D)) * np.exp(
        NOISE * rng.standard_normal(2 * n)
    )
    return {"N": N, "D": D, "loss": loss, "recipe": np.where(second, "new", "old")}


def part(cell, number):
    """What held in some studies of a cell, a row of booleans each."""
    n, objective = CELLS[cell]
    top = 6.0 * 2e9 * 3.2e11
    crossing = zero(lambda C: least(NEW, C) - least(OLD, C), np.log(1e19), np.log(1e27))
    at = (10.0 * top, 100.0 * top)
    factor = zero(lambda k: least(NEW, k * at[0]) - least(OLD, at[0]), np.log(1e-3), np.log(1e3))
    rows = []
    for study in range(PART):
        rng = np.random.default_rng([26, cell, number, study])
        options = {"objective": objective, "draws": DRAWS, "seed": study, "n_threads": 1}
        made = iso.compare_recipes(runs(n, NEW, rng), **options)
        gap, over, times = made.difference(at), made.crossover(before=1e25), made.compute_multiplier(at[0])
        truth = [least(NEW, C) - least(OLD, C) for C in at]
        right = over.ahead[0] == "new" or (over.ahead[0] == "" and np.isinf(over.high[0]))
        equal = iso.compare_recipes(runs(n, OLD, rng), **options)
        better = equal.difference(at[0]).better[0]
        rows.append(
            [
                *(bool(low <= t <= high) for low, t, high in zip(gap.low, truth, gap.high, strict=True)),
                bool(right and over.low[0] <= crossing <= over.high[0]),
                bool(times.low[0] <= factor <= times.high[0]),
                bool(not 0.05 < better < 0.95),
                bool(equal.sharing.refuted),
            ]
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop before so many are over, to go on later")
    parser.add_argument("--quick", action="store_true", help="a part of each cell, and nothing is written")
    options = parser.parse_args()
    parts = 1 if options.quick else -(-options.studies // PART)
    ledger = Ledger("recipes.jsonl", ("comparison", "plan", "stats", "fit", "engine", "objective"))
    jobs = {f"{cell}-{k}": partial(part, cell, k) for cell in range(len(CELLS)) for k in range(parts)}
    left = ledger.work(jobs, options.seconds)
    if left:
        sys.exit(f"{left} parts are left: run again to go on")
    rows = []
    for cell, (n, objective) in enumerate(CELLS):
        found = np.mean([row for k in range(parts) for row in ledger.parts[f"{cell}-{k}"]], axis=0)
        rows.append((str(n), NAMES[objective], *(f"{100 * share:.1f} %" for share in found)))
    head = (
        "runs of each",
        "objective",
        "difference at 10×",
        "at 100×",
        "crossing",
        "multiplier at 10×",
        "equal: P outside 5 .. 95 %",
        "equal: sharing refuted",
    )
    error = np.sqrt(0.95 * 0.05 / (parts * PART))
    told = (
        f"{parts * PART} simulated studies of each kind, {DRAWS} draws; standard error near 95 %: {100 * error:.1f} %."
    )
    text = f"{markdown(head, rows)}\n\n{told}"
    print(text)
    if not options.quick:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition("<!-- recipes:start -->")
        _, _, after = rest.partition("<!-- recipes:end -->")
        PAGE.write_text(f"{before}<!-- recipes:start -->\n{text}\n<!-- recipes:end -->{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
