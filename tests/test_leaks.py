"""A hundred thousand calls through every door of the compiled core leave memory where it was.

Each call makes and drops the objects that cross the boundary: expressions, arrays in and out, results, errors and
callbacks. After the first tenth of the calls the resident size may grow by 256 KiB. One lost object of 48 bytes at one
of the fifteen doors would be 288 kB.
"""

import gc
from pathlib import Path

import numpy as np
import pytest

from isoloss import _core

CALLS = 100_000
SLACK = 256 << 10
N = np.geomspace(1e7, 1e10, 6)
LOSS = 1.8 + 400.0 / N**0.34
STARTS = np.array([[1.5, 200.0, 0.3]])
EXPRESSION = _core.Expression("E + A / N**alpha", variables=["N"])
SUM = _core.Expression("E + A * sum_over(k, k.drop) / N", variables=["N"])
DEFINITIONS = [("loss", "1.8 + 400 / N**0.34", {}, {})]
FIT = {
    "log_scale": [False] * 3,
    "lower": np.full(3, -np.inf),
    "upper": np.full(3, np.inf),
    "fixed": [False] * 3,
    "tied": [0, 1, 2],
    "objective": "squared",
    "delta": 1.0,
    "space": "raw",
    "max_iterations": 1,
    "threads": 1,
}


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


def parse() -> None:
    _core.Expression("E + A / N**alpha + B / D**beta", variables=["N", "D"])


def refuse() -> None:
    with pytest.raises(_core.ExpressionError):
        _core.Expression("E + A / (N**alpha", variables=["N"])


def name() -> None:
    _core.names("E + A / N**alpha")


def explain() -> None:
    EXPRESSION.explain(log_scale=[False] * 3)


def attach_inner_table() -> None:
    SUM.with_inner({"k": {"drop": np.ones(3)}})


def evaluate() -> None:
    EXPRESSION.evaluate([N], STARTS)
    EXPRESSION.evaluate([np.repeat(N, 2)[::2]], STARTS)  # copied on the way in


def differentiate() -> None:
    EXPRESSION.derivatives([N], STARTS[0])


def fit() -> None:
    _core.fit_batch(EXPRESSION, [N], LOSS, STARTS, **FIT)


def fit_with_callback() -> None:
    _core.fit_batch(EXPRESSION, [N], LOSS, STARTS, progress=lambda done, total: None, **FIT)


def fail_to_fit() -> None:
    with pytest.raises(ValueError, match="objective"):
        _core.fit_batch(EXPRESSION, [N], LOSS, STARTS, **FIT | {"objective": "none"})


def measure_scatter() -> None:
    _core.robust_sigmas(EXPRESSION, [N], LOSS, STARTS, space="log", threads=1)


def resample() -> None:
    _core.resample_counts(0, 4, np.arange(6), 6, threads=1)


def search() -> None:
    _core.search_grid([(["N"], [N], None)], [], DEFINITIONS, "loss", top=2, threads=1)


def search_with_callback() -> None:
    _core.search_grid([(["N"], [N], None)], [], DEFINITIONS, "loss", progress=lambda done, total: None, threads=1)


def search_between() -> None:
    low, high = N[:-1, None], N[1:, None]
    _core.search_between(DEFINITIONS, "loss", ["N"], low, high, LOSS[1:], np.full(5, 0.1), most=4, threads=1)


DOORS = [
    *(parse, refuse, name, explain, attach_inner_table, evaluate, differentiate),
    *(fit, fit_with_callback, fail_to_fit, measure_scatter, resample),
    *(search, search_with_callback, search_between),
]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident size is read from /proc")
def test_a_hundred_thousand_calls_leave_memory_flat() -> None:
    def rounds(count: int) -> int:
        for _ in range(count):
            for door in DOORS:
                door()
        gc.collect()
        return resident()

    total = CALLS // len(DOORS) + 1
    before = rounds(total // 10)
    after = rounds(total - total // 10)
    assert after - before < SLACK, f"{(after - before) / 1e3:.0f} kB more after {CALLS:,} calls"
