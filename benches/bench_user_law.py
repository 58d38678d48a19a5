"""A user's own law runs as fast as a registered one: both are text, and no law is known to the engine."""

import time

import numpy as np
from common import Bar, Report, Spread, Table, hoffmann_starts, main, ratio, rounds, sweep

import isoloss as iso


def run(quick: bool = False) -> Report:
    data = sweep()
    columns = {"N": data.N, "D": data.D}
    options = {"objective": "huber_log", "delta": 1e-3, "n_threads": 1}
    bounds = {"alpha": (0.0, 2.0), "beta": (0.0, 2.0)}
    texts = {
        "registered: chinchilla": iso.laws.get("chinchilla"),
        "the same text": iso.law("E + A / N**alpha + B / D**beta", positive=["E", "A", "B"], bounds=bounds),
        "other names and spelling": iso.law(
            "B2 * n**(-b2) + (B1 * d**(-b1) + least)",
            vars=["n", "d"],
            positive=["least", "B1", "B2"],
            bounds={"b1": (0.0, 2.0), "b2": (0.0, 2.0)},
        ),
    }
    starts = hoffmann_starts()[:: 9 if quick else 3]
    order = {"least": 0, "B2": 1, "b2": 2, "B1": 3, "b1": 4}

    def work(law: iso.Law):
        own = [order.get(name, j) for j, name in enumerate(law.parameters)]
        lower = {name.lower(): values for name, values in columns.items()}

        def fit() -> iso.FitTable:
            return iso.fit_many(law, columns | lower, data.loss, starts=starts[:, own], **options)

        return fit

    jobs = {name: work(law) for name, law in texts.items()}
    values = {name: job().value for name, job in jobs.items()}
    seconds = rounds(jobs, 5 if quick else 15, time.process_time)
    first, *others = jobs
    gap = {name: float(np.nanmin(values[name]) / np.nanmin(values[first]) - 1.0) for name in jobs}
    ratios = {name: ratio(seconds[name], seconds[first]) for name in jobs}
    rows = [
        (
            name,
            Spread.of([1e6 * s / len(starts) for s in seconds[name]]).show(),
            ratios[name].show(),
            f"{gap[name]:.0e}",
        )
        for name in jobs
    ]
    bars = [
        Bar("a user's own law: CPU time over the registry's, the same text", ratios[others[0]].show("×"), "the same",
            abs(ratios[others[0]].median - 1.0) <= 0.05),
        Bar("… written otherwise", ratios[others[1]].show("×")),
    ]  # fmt: skip
    head = ("law", "CPU µs per start", "over the registry's", "best value, relative to the registry's")
    return Report("A user's own law", bars, [Table("Hoffmann's starts, one core", head, rows)])


if __name__ == "__main__":
    main(run)
