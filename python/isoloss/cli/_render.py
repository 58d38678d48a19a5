"""What the commands print: tables for people, records for ``--json``."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from isoloss.units import format_number, format_si

if TYPE_CHECKING:
    import isoloss as iso

__all__ = [
    "allocation_record",
    "demo",
    "demo_record",
    "fit",
    "fit_record",
    "laws",
    "line",
    "predictions",
]

COUNTS = frozenset({"N", "D", "batch", "U", "S"})
"""Variables printed with K, M, B, T."""

PROSE = 100
"""Columns after which sentences go on in the next line, in a pipe too."""


def line(text: str) -> None:
    """Print text as it is."""
    sys.stdout.write(text.rstrip("\n") + "\n")


def demo(shown: "iso.demo.Demo") -> None:
    """Print the demonstration: runs, parameters, basins, optimum, timing, figure."""
    console, fitted, draws = _console(), shown.fit, shown.draws
    kept = "" if shown.cells is shown.runs else f"; the best run of each of {shown.cells.n:,} (N, D) cells is fitted"
    origin = shown.source if shown.simulated else f"from {shown.source}"
    _labelled(console, "runs", f"{shown.runs.n:,} {origin}{kept}")
    _labelled(console, "law", f"loss = {fitted.law.expr}")
    _labelled(console, "objective", f"{fitted.objective.describe()}, {format_number(fitted.value, 6)} at the best")
    _labelled(console, "basins", str(fitted.basins))
    console.print()
    console.print(_parameters(fitted, draws, 0.95, shown.truth))
    failed = f", {draws.failed:,} failed and left out" if draws.failed else ""
    console.print(f"{draws.describe_interval()}, {len(draws):,} {draws.method} draws{failed}", style="dim")
    console.print()
    console.print(_optimum(shown.allocation, shown.true_optimum))
    console.print()
    for notice in (*fitted.warnings, *draws.warnings, *shown.allocation.warnings):
        style = "dim" if notice.severity == "info" else "yellow"
        console.print(Text(str(notice), style=style), width=min(PROSE, console.width))
    timing = ", ".join(f"{name} {_seconds(value)}" for name, value in shown.seconds.items())
    _labelled(console, "time", timing)
    if shown.figure is not None:
        _labelled(console, "plot", str(shown.figure))


def demo_record(shown: "iso.demo.Demo") -> dict[str, Any]:
    """Describe the demonstration for ``--json``."""
    truth = None if shown.truth is None else {"params": shown.truth, "optimum": shown.true_optimum}
    return {
        "command": "demo",
        "source": shown.source,
        "simulated": shown.simulated,
        "runs": shown.runs.n,
        **_fit_part(shown.fit, shown.draws, 0.95),
        # The demonstration chose the cells itself: their count says it, a list of row numbers only buries the result.
        "dropped": [{"count": record.count, "reason": record.reason} for record in shown.fit.dropped],
        "allocation": allocation_record(shown.allocation),
        "truth": truth,
        "seconds": shown.seconds,
        "figure": shown.figure,
    }


def fit(fitted: "iso.Fit", level: float, output: Path | None) -> None:
    """Print the summary of a fit, with intervals when draws are attached."""
    line(fitted.summary(level=level))
    if output is not None:
        line(f"saved {output}")


def fit_record(fitted: "iso.Fit", level: float, output: Path | None) -> dict[str, Any]:
    """Describe a fit for ``--json``."""
    return {"command": "fit", **_fit_part(fitted, fitted.draws, level), "saved": output}


def predictions(rows: Sequence[Mapping[str, Any]], level: float, *, calibrated: bool) -> None:
    """Print one line per predicted run."""
    table = _table()
    for name in rows[0]:
        title = {
            "interval": f"{100 * level:g} % {'interval' if calibrated else 'of draws'}",
            "decades": "extrapolation",
        }.get(name, name)
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(*(_quantity(name, value) for name, value in row.items()))
    _console().print(table)


def laws(rows: Sequence[Mapping[str, Any]], aliases: Mapping[str, Sequence[str]]) -> None:
    """Print the registry by family, then the short names: what one chooses by. `isoloss laws NAME` prints the rest."""
    console = _console()
    families: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        families.setdefault(str(row["family"]), []).append(row)
    width = max(len(str(row["name"])) for row in rows)
    for family, members in families.items():
        console.print(Text(family, style="bold"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(min_width=width + 2, no_wrap=True)
        table.add_column(min_width=4, no_wrap=True)
        table.add_column(min_width=10, no_wrap=True)
        table.add_column(overflow="fold")
        for row in members:
            # A law is known by its expression, a rule by what it gives.
            what = f"{row['gives']} = {row['expr']}" if row["kind"] == "law" else row["gives"]
            table.add_row(f"  {row['name']}", row["kind"], row["arxiv"], Text(str(what)))
        console.print(table, width=min(PROSE, console.width))
    if aliases:
        console.print(Text("short names", style="bold"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(min_width=width + 2, no_wrap=True)
        table.add_column(overflow="fold")
        for name, meant in aliases.items():
            table.add_row(f"  {name}", Text(", ".join(meant)))
        console.print(table, width=min(PROSE, console.width))


def allocation_record(plan: Any) -> dict[str, Any]:
    """Describe a compute-optimal plan for ``--json``."""
    record: dict[str, Any] = plan.to_dict()
    return record


def _fit_part(fitted: "iso.Fit", draws: Any, level: float) -> dict[str, Any]:
    basins = fitted.basins
    record: dict[str, Any] = {
        "law": {"name": fitted.law.name, "text": fitted.law.expr},
        "n": fitted.n,
        "dropped": fitted.dropped,
        "objective": fitted.objective.to_dict(),
        "value": fitted.value,
        "status": fitted.status,
        "success": fitted.success,
        "message": fitted.status.message,
        "params": fitted.params,
        "stderr": fitted.stderr,
        "basins": {**basins.to_dict(), "share_at_best": basins.share, "gap_to_runner_up": basins.gap},
        "warnings": [notice.to_dict() for notice in fitted.warnings],
        "fit_seconds": fitted.seconds,
        "bootstrap": None,
    }
    if draws is not None:
        record["bootstrap"] = {
            "draws": len(draws.params),
            "failed": draws.failed,
            "level": level,
            "method": draws.method,
            "interval": draws.basis.interval,
            "calibrated": draws.calibrated(level),
            "intervals": draws.conf_int(level),
        }
    return record


def _parameters(fitted: "iso.Fit", draws: Any, level: float, truth: Mapping[str, float] | None) -> Table:
    table = _table()
    table.add_column("parameter", style="bold")
    table.add_column("estimate", justify="right")
    table.add_column(f"{100 * level:g} % {'interval' if draws.calibrated(level) else 'of draws'}", justify="right")
    if truth is not None:
        table.add_column("truth", justify="right")
        table.add_column("covered")
    for name, (low, high) in draws.conf_int(level).items():
        row = [
            name,
            format_number(fitted.params[name], 5),
            f"[{format_number(low, 4)}, {format_number(high, 4)}]",
        ]
        if truth is not None:
            row += [format_number(truth[name], 5), "yes" if low <= truth[name] <= high else "no"]
        table.add_row(*row)
    return table


def _optimum(plan: Any, truth: Mapping[str, float] | None) -> Table:
    table = _table()
    table.add_column(f"at {format_number(plan.C, 2)} FLOPs", style="bold")
    table.add_column("estimate", justify="right")
    table.add_column(f"{100 * plan.level:g} % {'interval' if plan.calibrated else 'of draws'}", justify="right")
    if truth is not None:
        table.add_column("truth", justify="right")
        table.add_column("covered")
    for name, label in (("N", "N"), ("D", "D"), ("tokens_per_parameter", "D/N"), ("loss", "loss")):
        show = partial(format_si if name in COUNTS else format_number, digits=4 if name == "loss" else 3)
        low, high = plan.intervals[name]
        row = [label, show(getattr(plan, name)), f"[{show(low)}, {show(high)}]"]
        if truth is not None:
            row += [show(truth[name]), "yes" if low <= truth[name] <= high else "no"]
        table.add_row(*row)
    return table


def _labelled(console: Console, label: str, text: str) -> None:
    """Print one line, folded under its text on a narrow terminal."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=10, style="bold")
    grid.add_column(overflow="fold")
    grid.add_row(label, text)
    console.print(grid, width=min(PROSE, console.width))


def _quantity(name: str, value: Any) -> str:
    if name == "interval":
        return f"[{format_number(value[0], 5)}, {format_number(value[1], 5)}]"
    if name == "decades":
        return str(value)
    return format_si(value) if name in COUNTS else format_number(value, 5)


def _seconds(value: float) -> str:
    return f"{1e3 * value:.0f} ms" if value < 1.0 else f"{value:.2f} s"


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _console() -> Console:
    # A pipe has no width of its own: never fold a table that a program or a file will hold.
    width = None if sys.stdout.isatty() else 200
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, soft_wrap=False)
