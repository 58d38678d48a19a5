"""Laws compared on four published sets of runs, and how long rollouts with bootstrap draws take.

    python benches/bench_compare.py [--quick]

For each file the largest budget is taken away, `isoloss.compare` recommends a law from the rest, and all laws then
predict the largest budget. The runs are read from ISOLOSS_DATA or the folder beside the clone. The tables are written
into docs/compare.md.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from common import machine, markdown

import isoloss as iso
from isoloss.comparison.paired import paired_p

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("ISOLOSS_DATA", ROOT.parent / "shared" / "data"))
PAGE = ROOT / "docs" / "compare.md"
LAWS = ["chinchilla", "kaplan", "skaling", "log_bilinear"]
TIMED = ["chinchilla", "kaplan", "skaling", "log_bilinear", "power_law_N", "power_law_D", "power_law_C", "log_linear"]
FILES = {
    "Chinchilla": ("chinchilla_epoch.csv", {"N": "params", "C": "flops", "loss": "loss"}, {"dropped_by_epoch": 0}),
    "over-training (RedPajama)": (
        "gadre_models.csv",
        {"N": "params_total", "D": "tokens", "loss": "loss_c4_val"},
        {"train_set": "rpj"},
    ),
    "OLMo ladder (C4)": (
        "olmo_ladder_final.csv",
        {"N": "params_non_embedding", "D": "tokens", "loss": "value"},
        {"metric": "ce_loss_nats", "task": "c4_en"},
    ),
    "isoFLOP (Marin, comma)": (
        "isoflop_marin.csv",
        {"N": "params", "D": "tokens", "C": "flops_budget", "loss": "loss"},
        {"outlier": 0, "dataset": "comma"},
    ),
}


def percent(value):
    return "" if np.isnan(value) else f"{100 * value:.2f} %"


def recommend(name):
    """Rows of the table of one file, and whether its recommendation was best or tied."""
    file, roles, where = FILES[name]
    runs = iso.read(DATA / file, where=where, **roles)
    rollout = iso.Rollout(min_groups=3)
    rungs = rollout.rungs(runs)
    small, large = runs.where(rungs < rungs.max()), runs.where(rungs == rungs.max())
    made = iso.compare(small, LAWS, split=rollout)
    mixed = made.ensemble().predict(N=large["N"], D=large["D"])
    inside = np.mean((large["loss"] >= mixed.low) & (large["loss"] <= mixed.high))
    held = {key: np.abs(np.log(fit.predict(large) / large["loss"])) for key, fit in made.fits.items()}
    root = {key: float(np.sqrt(np.mean(error**2))) for key, error in held.items()}
    least = min((key for key in root if key in LAWS), key=root.__getitem__)
    p = paired_p(held[made.best] - held[least], np.arange(large.n), 0)
    verdict = "least" if made.best == least else f"{'tied with' if p > 0.05 else 'worse than'} {least} (p = {p:.2g})"
    rows = []
    for score in made.scores:
        told = verdict if score.law == made.best else ""
        error = root.get(score.law, np.nan)
        rows.append((name, score.law, percent(score.ahead), percent(score.rmse), percent(error), told))
    ensemble = float(np.sqrt(np.mean(np.log(mixed.estimate / large["loss"]) ** 2)))
    note = f"95 % interval holds {100 * inside:.0f} % of {large.n}"
    rows.append((name, "ensemble", "", "", percent(ensemble), note))
    return rows, made.best == least or p > 0.05


def timed(draws):
    """Seconds for rollouts of eight laws with draws from eight starts each."""
    file, roles, where = FILES["Chinchilla"]
    runs = iso.read(DATA / file, where=where, **roles)
    rollout = iso.Rollout(min_groups=2)
    began = time.perf_counter()
    made = iso.compare(runs, TIMED, split=rollout, draws=draws, starts=7)
    seconds = time.perf_counter() - began
    return len(TIMED) * len(made.splits) * draws * 8, len(made.splits), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer draws, and nothing is written")
    quick = parser.parse_args().quick
    if not (DATA / "chinchilla_epoch.csv").exists():
        raise SystemExit(f"the published data are not at {DATA}; name their folder in ISOLOSS_DATA")
    rows, good = [], 0
    for name in FILES:
        found, right = recommend(name)
        rows += found
        good += right
    head = ("runs", "law", "next rung", "all later", "largest budget", "recommended: at the largest budget")
    rounds = [timed(50 if quick else 1000) for _ in range(1 if quick else 5)]
    fits, splits, _ = rounds[0]
    seconds = sorted(seconds for _, _, seconds in rounds)
    took = f"{seconds[len(seconds) // 2]:.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f} in {len(seconds)} rounds)"
    least = "The recommended law had the least error at the largest budget, or one not told from it"
    verdict = f"{least}, in {good} of {len(FILES)}."
    work = f"Rollouts of {len(TIMED)} laws over {splits} splits of 240 runs, with draws from 8 starts each"
    text = "\n\n".join([markdown(head, rows), verdict, f"{work}: {fits:,} fits in {took} on {machine()}."])
    print(text)
    if not quick:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition("<!-- compare:start -->")
        _, _, after = rest.partition("<!-- compare:end -->")
        PAGE.write_text(f"{before}<!-- compare:start -->\n{text}\n<!-- compare:end -->{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
