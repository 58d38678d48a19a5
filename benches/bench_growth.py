"""Growth: the time of one more problem does not depend on how many there are, and threads share the work."""

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
from common import Bar, Report, Spread, Table, case, main, ratio, rounds

BUSY = """
import time
input()
began = time.perf_counter()
for _ in range(20_000_000):
    pass
print(time.perf_counter() - began)
"""


def busy(processes: int) -> float:
    """Seconds that independent processes take, each for the same plain loop; the slowest of them."""
    command = [sys.executable, "-c", BUSY]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    time.sleep(0.1)  # until all of them wait for their line
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    return max(float(process.communicate()[0]) for process in started)


def run(quick: bool = False) -> Report:
    given = case(1e-3)
    sizes = (10**3, 10**4, 10**5) if quick else (10**3, 10**4, 10**5, 10**6)
    repeats = 3 if quick else 5

    def work(size: int, threads: int | None):
        # The draws come round again: memory for a million of them would measure something else.
        part = replace(given, counts=given.counts[:size])
        draws = np.arange(size) % len(part.counts)
        starts = np.repeat(given.warm[None, :], size, axis=0)
        again = max(1, 4000 // size)

        def fit() -> None:
            for _ in range(again):
                part.solve(starts, draws, threads=threads)

        return fit, size * again

    made = {size: work(size, None) for size in sizes}
    for fit, _ in list(made.values())[:2]:
        fit()
    seconds = rounds({str(size): fit for size, (fit, _) in made.items()}, repeats, time.perf_counter)
    each = {size: [1e6 * s / made[size][1] for s in seconds[str(size)]] for size in sizes}
    reference = sizes[-1]
    ratios = {size: ratio(each[size], each[reference]) for size in sizes}
    worst = max(sizes, key=lambda size: abs(ratios[size].median - 1.0))
    rows = [(f"{size:,}", Spread.of(each[size]).show(), ratios[size].show()) for size in sizes]
    middle = 10**4 if quick else 10**5
    pair = {"one": work(middle, 1)[0], "two": work(middle, 2)[0]}
    halves = rounds(pair, 2 * repeats - 1, time.perf_counter)
    gain = ratio(halves["one"], halves["two"])
    # What this machine grants at all while other programs run: two threads cannot gain more than two processes.
    possible = Spread.of([2.0 * busy(1) / busy(2) for _ in range(repeats)])
    bars = [
        Bar(f"growth: time per problem at {worst:,} over that at {reference:,}, the size farthest from linear",
            ratios[worst].show("×"), "within 15 %", abs(ratios[worst].median - 1.0) <= 0.15),
        Bar(f"two threads over one, {middle:,} problems", gain.show("×"), "≥ 1.8×",
            gain.median >= 1.8 if possible.median >= 1.8 else None),
        Bar("… what two independent processes gain on this machine", possible.show("×")),
    ]  # fmt: skip
    head = ("problems", "µs per problem, all cores", f"over that at {reference:,}")
    return Report("Growth", bars, [Table("Warm-started draws, Huber 1e-3 on log loss", head, rows)])


if __name__ == "__main__":
    main(run)
