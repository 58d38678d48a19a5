"""Run the benchmarks and write their tables: printed, into README.md and into docs/benchmarks.md.

    python benches/run.py            # all, about ten minutes; writes the tables
    python benches/run.py --quick    # smaller sizes and fewer rounds, under two minutes; prints only
    python benches/run.py warm tall  # some of them; prints only

The optimisers that isoloss is measured against are optional: `pip install -r requirements/bench.txt`.
"""

import argparse
import sys
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

import common
from common import Report, bar_table, machine, markdown, show, sweep

import isoloss as iso

NAMES = (
    "warm",
    "starts",
    "bootstrap",
    "kernel",
    "panel",
    "tall",
    "growth",
    "user_law",
    "curves",
    "search",
    "hparams",
    "import",
)
PEERS = ("numpy", "scipy", "lmfit", "numba", "numexpr", "jax", "optimistix")
MARKS = ("<!-- bench:start -->", "<!-- bench:end -->")
FIRST = (
    "one warm-started fit in a batch, Huber",
    "… beside SciPy BFGS",
    "Hoffmann's 4,500 starts: share",
    "… all of them",
    "4,000 bootstrap draws",
    "panel:",
    "tall:",
    "search of 10^9 cells",
    "search, against NumPy full broadcast",
    "search, against numba hoisted by hand",
    "1,000 draws x 1,000,000 cells, probability of the plateau",
    "1,911 runs",
    "import isoloss",
)
"""How the rows begin that README.md shows; the first of each."""


def versions() -> str:
    found = [f"isoloss {iso.__version__}", f"Python {sys.version_info.major}.{sys.version_info.minor}"]
    for name in PEERS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def conditions(seconds: float) -> str:
    today = datetime.now(tz=UTC).date().isoformat()
    return (
        f"Measured {today} in one run of {seconds / 60:.0f} minutes on {machine()}; {sweep().source}. {versions()}. "
        "Medians over rounds in which all methods take turns, with the least and the largest round in brackets."
    )


def insert(path: Path, text: str) -> None:
    """Put text between the markers of a file; a file without them is left alone, with a word about it."""
    start, end = MARKS
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    if start not in old or end not in old:
        print(f"{path.name} has no {start} … {end}: not written", file=sys.stderr)
        return
    head, tail = old.split(start)[0], old.split(end)[1]
    path.write_text(f"{head}{start}\n{text}\n{end}{tail}", encoding="utf-8")


def readme(reports: list[Report]) -> str:
    bars = [bar for report in reports for bar in report.bars]
    rows = [next(bar for bar in bars if bar.work.startswith(first)) for first in FIRST]
    table = markdown(("work", "measured"), [(bar.work, bar.measured) for bar in rows])
    head = f"Measured on {machine()}; [how, and all the rest](docs/benchmarks.md), missed goals among it."
    return f"{head}\n\n{table}"


def missed(reports: list[Report]) -> str:
    found = [bar for report in reports for bar in report.bars if bar.met is False]
    asked = sum(bar.met is not None for report in reports for bar in report.bars)
    return f"{asked - len(found)} of {asked} bars are met."


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="some of them; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds; writes nothing")
    chosen = parser.parse_args()
    reports = []
    began = perf_counter()
    for name in chosen.names or NAMES:
        since = perf_counter()
        report = import_module(f"bench_{name}").run(chosen.quick)
        reports.append(report)
        print(f"{show(report)}\n\n[{name}: {perf_counter() - since:.0f} s]\n", flush=True)
    bars = [bar for report in reports for bar in report.bars]
    text = f"{conditions(perf_counter() - began)}\n\n{missed(reports)}\n\n{bar_table(bars)}"
    print(text)
    if chosen.quick or chosen.names:
        return
    details = "\n\n".join(show(Report(r.name, [], r.tables, r.notes)) for r in reports if r.tables or r.notes)
    insert(common.ROOT / "docs" / "benchmarks.md", f"{text}\n\n{details}")
    insert(common.ROOT / "README.md", readme(reports))


if __name__ == "__main__":
    main()
