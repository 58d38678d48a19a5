"""Signals at random moments of every long call: seconds from the signal to the exception, and what is left behind.

``python benches/interrupts.py --signals 200`` spreads the signals over the calls below, and prints for each the median
and the largest delay. SIGINT (Ctrl-C) and SIGTERM take turns; the latter has a handler that raises, as the command line
installs one: without it the system ends the process at once. A call is made again and again until the signal comes, so
that the signal hits all of its phases: validation, starts, the engine, what NumPy does with the results. Exit code 1 if
any delay is beyond ``--limit``, or a thread is left over that was not there after the first call.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import isoloss as iso
from isoloss import _core

LAW = iso.law("E + A / N**alpha + B / D**beta", positive=["E", "A", "B"], bounds={"alpha": (0, 2), "beta": (0, 2)})
TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 410.0, "beta": 0.28}


def runs(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(16, 24, n)), np.exp(rng.uniform(20, 27, n))
    return {"N": N, "D": D, "loss": LAW(N=N, D=D, **TRUTH) * np.exp(0.01 * rng.standard_normal(n))}


def tall() -> Callable[[], object]:
    data = iso.read(runs(1_000_000))
    return lambda: iso.fit(LAW, data, starts=64, objective="absolute_log")


def many() -> Callable[[], object]:
    few = runs(240)
    targets = np.tile(few["loss"], (20_000, 1))
    return lambda: iso.fit_many(LAW, {"N": few["N"], "D": few["D"]}, targets)


def panel() -> Callable[[], object]:
    few = {name: np.tile(values, 2_000) for name, values in runs(240).items()}
    offsets = np.arange(2_001) * 240
    return lambda: iso.fit_many(LAW, {"N": few["N"], "D": few["D"]}, few["loss"], offsets=offsets)


def bootstrap() -> Callable[[], object]:
    fit = iso.fit(LAW, runs(240))
    return lambda: fit.bootstrap(400_000)


def cases() -> Callable[[], object]:
    fit = iso.fit(LAW, runs(240))
    return lambda: fit.bootstrap(400_000, method="case")


def band() -> Callable[[], object]:
    many = runs(50_000)
    draws = iso.fit(LAW, runs(240)).bootstrap(4000, starts=0)
    return lambda: draws.predict(N=many["N"], D=many["D"])


def allocate() -> Callable[[], object]:
    fit = iso.fit(LAW, runs(240))
    draws = fit.bootstrap(4000, starts=0)
    return lambda: fit.allocate(C=np.geomspace(1e18, 1e26, 200), draws=draws)


def evaluate() -> Callable[[], object]:
    many = runs(50_000)
    expression, sets = LAW.core({}), np.tile(list(TRUTH.values()), (1000, 1))
    return lambda: expression.evaluate([many["N"], many["D"]], sets)


def counts() -> Callable[[], object]:
    return lambda: _core.resample_counts(1, 25_000, np.arange(2000), 2000)


def search() -> Callable[[], object]:
    fit = iso.fit(LAW, runs(240))
    axes = {"N": iso.geomspace(1e8, 1e12, 6000), "D": iso.geomspace(1e9, 1e13, 6000)}
    return lambda: iso.search(fit, axes, where="6*N*D <= 1e24", by=["N"], within=0.001)


def hparams() -> Callable[[], object]:
    data = iso.read(iso.simulate.sweep(settings=9, seed=0))
    return lambda: iso.fit_hparams(data)


def compare() -> Callable[[], object]:
    data = iso.read(runs(240))
    return lambda: iso.compare(data, ["chinchilla", "power_law_N"])


def auto() -> Callable[[], object]:
    few = runs(240)
    targets = np.tile(few["loss"], (2_000, 1))
    return lambda: iso.fit_many(LAW, {"N": few["N"], "D": few["D"]}, targets, delta="auto")


def studies() -> Callable[[], object]:
    fit = iso.fit(LAW, runs(240))
    return lambda: fit.coverage(500)


def surface() -> Callable[[], object]:
    fit = iso.fit(LAW, runs(2_400))
    return lambda: fit.profile2("alpha", "beta")


def posterior() -> Callable[[], object]:
    fit = iso.fit(LAW, runs(2_400), objective="squared_log")
    return lambda: fit.posterior(100_000, method="ensemble")


def multiverse() -> Callable[[], object]:
    fit = iso.fit(LAW, runs(2_400))
    return lambda: iso.multiverse(fit)


def refined() -> Callable[[], object]:
    fit = iso.fit(LAW, runs(240))
    axes = {"N": iso.geomspace(1e8, 1e12, 400), "D": iso.geomspace(1e9, 1e13, 400)}
    return lambda: iso.search(fit, axes, where="6*N*D <= 1e24", by=["N"], refine=True)


def recipes() -> Callable[[], object]:
    both = {name: np.tile(values, 2) for name, values in runs(240).items()}
    both["recipe"] = np.repeat(["old", "new"], 240)
    return lambda: iso.compare_recipes(both, draws=400)


def crossing() -> Callable[[], object]:
    both = {name: np.tile(values, 2) for name, values in runs(24).items()}
    both["recipe"] = np.repeat(["old", "new"], 24)
    both["loss"][24:] *= 0.98
    made = iso.compare_recipes(both, draws=2000)
    return lambda: made.compute_multiplier(np.geomspace(1e20, 1e24, 20))


def design() -> Callable[[], object]:
    fit = iso.fit("chinchilla", runs(240))
    offered = iso.grid(C=np.geomspace(1e19, 1e22, 20), tpp=np.geomspace(2, 500, 20))
    return lambda: iso.next_runs(fit, iso.Target.allocation(C=1e25), candidates=offered, budget=1e23, n=20)


def scoring() -> Callable[[], object]:
    fit = iso.fit("chinchilla", runs(24))
    offered = iso.grid(C=[1e19, 1e20, 1e21], tpp=[5, 20, 80])
    plan = iso.next_runs(fit, iso.Target.allocation(C=1e23), candidates=offered, n=4)
    return lambda: iso.score_design(plan, studies=2_000)


def again() -> Callable[[], object]:
    fit = iso.fit(LAW, runs(240))
    fit = fit.with_draws(fit.bootstrap(4_000))
    return fit.reproduce


CALLS = (
    *(tall, many, panel, auto, bootstrap, cases, studies, surface, posterior, band, allocate),
    *(evaluate, counts, search, refined, hparams, compare, multiverse),
    *(recipes, crossing, design, scoring, again),
)


class Terminated(BaseException):
    """What the handler of SIGTERM raises."""


def terminate(_number: int, _frame: object) -> None:
    raise Terminated


def threads() -> int:
    """Of the process, those of the core included."""
    return len(list(Path("/proc/self/task").iterdir()))


def delays(call: Callable[[], object], count: int, rng: np.random.Generator) -> list[float]:
    """Seconds from each of `count` signals to the exception in the main thread."""
    found: list[float] = []
    for turn, wait in enumerate(rng.uniform(0.0, 0.8, count)):
        sent: list[float] = []
        number = (signal.SIGINT, signal.SIGTERM)[turn % 2]

        def kick(wait: float = float(wait), sent: list[float] = sent, number: signal.Signals = number) -> None:
            time.sleep(wait)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), number)

        kicker = threading.Thread(target=kick)
        try:
            kicker.start()
            while True:
                call()
        except (KeyboardInterrupt, Terminated):
            found.append(time.perf_counter() - sent[0])
        kicker.join()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", type=int, default=200, help="over all calls")
    parser.add_argument("--only", choices=[make.__name__ for make in CALLS])
    parser.add_argument("--limit", type=float, default=0.5, help="seconds")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    chosen = [make for make in CALLS if asked.only in (None, make.__name__)]
    rng = np.random.default_rng()
    late, left = 0, 0
    few = runs(240)
    for _ in range(2):  # the pool of threads is made by the first call that gets so far, and stays
        iso.fit_many(LAW, {"N": few["N"], "D": few["D"]}, np.tile(few["loss"], (2_000, 1)))
    for make in chosen:
        call = make()
        delays(call, 1, rng)
        before = threads()
        found = delays(call, -(-asked.signals // len(chosen)), rng)
        late += sum(delay > asked.limit for delay in found)
        left += max(threads() - before, 0)
        print(
            f"{make.__name__:10s} {len(found):4d} signals  median {np.median(found):.3f} s  largest {max(found):.3f} s"
        )
    print(f"beyond {asked.limit} s: {late}; threads left over: {left}")
    return int(late > 0 or left > 0)


if __name__ == "__main__":
    sys.exit(main())
