"""How often the ensemble's interval holds the loss of a larger run when the truth couples size and data.

    python benches/bench_ensemble.py [--studies 200] [--seconds 200] [--quick]

Every study simulates 48 runs on a grid of eight sizes and six budgets of tokens per parameter from a coupled law, with
0.3 % of run-to-run noise, lets `isoloss.compare` roll out an additive law, Kaplan's, the coupled one and a bilinear
one, and asks the ensemble for a 95 % interval of new runs at 10 and at 100 times the largest budget. The table goes to
docs/compare.md. Finished studies are kept in target/benches/ensemble.jsonl: a run that --seconds ended goes on there.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np
from common import Ledger, markdown

import isoloss as iso

PAGE = Path(__file__).resolve().parent.parent / "docs" / "compare.md"
LAWS = ["chinchilla", "kaplan", "skaling", "log_bilinear"]
NOISE = 0.003
TRUTH = {"E": 1.8, "A": 5700.0, "alpha": 0.5, "B": 7800.0, "beta": 0.45, "k": 0.7}


def truth(N, D):
    """A coupled law: both terms shrink together, by an interaction that an additive law cannot have."""
    return iso.laws.get("skaling").bind(**TRUTH)(N=N, D=D)


def study(seed):
    """Whether each forecast held its run, by law and for the ensemble, and whether it said how far it was checked."""
    rng = np.random.default_rng([20, seed])
    N = np.repeat(np.geomspace(1e8, 4e9, 8), 6)
    D = N * np.tile(np.geomspace(5.0, 160.0, 6), 8)
    loss = truth(N, D) * np.exp(NOISE * rng.standard_normal(48))
    made = iso.compare({"N": N, "D": D, "loss": loss}, LAWS, split=iso.Rollout(by="C"), draws=200, seed=seed)
    mixed = made.ensemble()
    top = float(np.max(6 * N * D))
    rows = []
    for times in (10.0, 100.0):
        n = np.sqrt(times * top / (6.0 * 20.0))
        target = truth(n, 20.0 * n) * np.exp(NOISE * rng.standard_normal())
        forecast = mixed.predict(N=n, D=20.0 * n)
        held = {"ensemble": forecast.low <= target <= forecast.high}
        for name in ("chinchilla", "skaling"):
            band = made.fits[name].bootstrap(200, seed=seed).predict(N=n, D=20.0 * n, kind="new-run")
            held[name] = band.low <= target <= band.high
        width = (forecast.high - forecast.low) / forecast.estimate
        rows.append(
            {"held": {name: bool(inside) for name, inside in held.items()}, "checked": forecast.checked, "width": width}
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop before so many are over, to go on later")
    parser.add_argument("--quick", action="store_true", help="four studies, and nothing is written")
    options = parser.parse_args()
    studies = 4 if options.quick else options.studies
    ledger = Ledger("ensemble.jsonl", ("comparison", "stats", "fit", "engine", "objective"))
    left = ledger.work({str(seed): partial(study, seed) for seed in range(studies)}, options.seconds)
    if left:
        sys.exit(f"{left} studies are left: run again to go on")
    found = [ledger.parts[str(seed)] for seed in range(studies)]
    rows = []
    for k, times in enumerate((10, 100)):
        shares = {name: np.mean([f[k]["held"][name] for f in found]) for name in ("ensemble", "skaling", "chinchilla")}
        told = np.mean([not f[k]["checked"] for f in found])
        width = np.median([f[k]["width"] for f in found])
        shown = [f"{100 * shares[name]:.0f} %" for name in shares]
        rows.append((f"{times}×", *shown, f"{100 * width:.1f} %", f"{100 * told:.0f} %"))
    head = (
        "compute",
        "ensemble holds",
        "true law alone",
        "additive law alone",
        "ensemble's width",
        "said: not checked",
    )
    text = f"{markdown(head, rows)}\n\n{studies} simulated studies; the truth is `skaling` with k = {TRUTH['k']}."
    print(text)
    if not options.quick:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition("<!-- ensemble:start -->")
        _, _, after = rest.partition("<!-- ensemble:end -->")
        PAGE.write_text(f"{before}<!-- ensemble:start -->\n{text}\n<!-- ensemble:end -->{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
