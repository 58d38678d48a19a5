"""`import isoloss` beyond what NumPy takes itself: fresh processes, by turns, time inside the process."""

import statistics
import subprocess
import sys

from common import Bar, Report, Spread, main

PROGRAM = """
import time
began = time.perf_counter()
import numpy
middle = time.perf_counter()
import isoloss
print(middle - began, time.perf_counter() - middle)
"""


def run(quick: bool = False) -> Report:
    own, numpy = [], []
    for turn in range(6 if quick else 21):
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        if turn:  # the first one reads files from disk
            first, second = map(float, done.stdout.split())
            numpy.append(first)
            own.append(second)
    spread = Spread.of(own)
    bar = Bar("import isoloss, beyond NumPy's own", spread.show(" s"), "≤ 0.15 s", spread.median <= 0.15)
    return Report("Import", [bar], [], [f"NumPy itself: {statistics.median(numpy):.3f} s"])


if __name__ == "__main__":
    main(run)
