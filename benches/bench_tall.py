"""Tall: one Chinchilla fit on millions of rows, in a process of its own, so that its peak of memory is its own.

The columns are N, D and loss. Memory is the peak of the process during the fit, less what it held before the columns
were made: the columns themselves are in it.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from common import Bar, Report, Spread, Table, main, number

import isoloss as iso
from isoloss.engine.status import Status

STATUS = Path("/proc/self/status")
TRUTH = {"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658}


def memory(field: str) -> int:
    """A field of the process's status in bytes; 0 where there is no such file."""
    if not STATUS.is_file():
        return 0
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])


def forget_peak() -> None:
    """Let the kernel count the peak anew (Linux)."""
    path = Path("/proc/self/clear_refs")
    if path.is_file():
        path.write_text("5")


def columns(rows: int) -> dict[str, np.ndarray]:
    """Simulated rows, made in pieces so that nothing but the columns grows with them."""
    made = {name: np.empty(rows) for name in ("N", "D", "loss")}
    rng = np.random.default_rng(0)
    for first in range(0, rows, 100_000):
        part = slice(first, min(rows, first + 100_000))
        size = part.stop - first
        N, D = (
            np.exp(rng.uniform(np.log(5e7), np.log(2e10), size)),
            np.exp(rng.uniform(np.log(1e9), np.log(1e12), size)),
        )
        quiet = TRUTH["E"] + TRUTH["A"] / N ** TRUTH["alpha"] + TRUTH["B"] / D ** TRUTH["beta"]
        made["N"][part], made["D"][part], made["loss"][part] = N, D, quiet * np.exp(5e-3 * rng.standard_normal(size))
    return made


def child(rows: int, repeats: int) -> None:
    """One size: seconds of each fit, memory over columns, and how far the parameters are from the truth."""
    law = iso.laws.get("chinchilla")
    start = np.array([2.0, 400.0, 0.3, 1000.0, 0.3])
    small = columns(1000)
    options = {"starts": start, "objective": "huber_log", "delta": 1e-3}
    iso.fit_many(law, {"N": small["N"], "D": small["D"]}, small["loss"], **options)
    before = memory("VmRSS")
    table = columns(rows)
    held = sum(column.nbytes for column in table.values())
    forget_peak()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = iso.fit_many(law, {"N": table["N"], "D": table["D"]}, table["loss"], **options)
        seconds.append(time.perf_counter() - began)
    off = max(abs(found.params[0, j] / TRUTH[name] - 1.0) for j, name in enumerate(found.names))
    result = {
        "seconds": seconds,
        "memory": (memory("VmHWM") - before) / held,
        "off": off,
        "status": int(found.status[0]),
        "iterations": int(found.iterations[0]),
    }
    print(json.dumps(result))


def measure(rows: int, repeats: int) -> dict:
    done = subprocess.run([sys.executable, __file__, "--child", str(rows), str(repeats)],
                          capture_output=True, text=True, check=True)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def run(quick: bool = False) -> Report:
    rows = []
    bars = []
    for size in (10**5, 10**6) if quick else (10**5, 10**6, 10**7):
        found = measure(size, 3 if quick else 5)
        seconds = Spread.of(found["seconds"])
        used = f"{number(found['memory'], 2)}× the columns" if found["memory"] > 0 else "not known here"
        message = Status(found["status"]).name.lower()
        rows.append(
            (f"{size:,}", seconds.show(), used, str(found["iterations"]), message, f"{100 * found['off']:.2g} %")
        )
        last = size == 10**7
        bars = [
            Bar(f"tall: one Chinchilla fit on {size:,} rows, Huber 1e-3 on log loss, all cores", seconds.show(" s"),
                "≤ 2 s" if last else "≤ 2 s at 10,000,000", seconds.median <= 2.0 if last else None),
            Bar("… peak memory, with the columns themselves", used, "≤ 3×", found["memory"] <= 3.0 if last else None),
        ]  # fmt: skip
    head = ("rows", "s", "peak memory", "iterations", "status", "parameters off by")
    return Report("One tall fit", bars, [Table("One fit of many rows, from one start", head, rows)])


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(*map(int, sys.argv[2:4]))
    else:
        main(run)
