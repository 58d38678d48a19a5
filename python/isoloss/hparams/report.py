"""One self-contained HTML page about a fitted hyper-parameter law: no network, no scripts, pictures inside the file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss import _core
from isoloss.errors import DataError, IsolossError
from isoloss.hparams.check import check_runs
from isoloss.hparams.plateau import positive
from isoloss.hparams.predictions import check_identified, scientific, share
from isoloss.units import format_number, format_si
from isoloss.writing import write_whole

if TYPE_CHECKING:
    from os import PathLike

    from isoloss.hparams.law import HParamLaw

__all__ = ["write_report"]

_STYLE = """
:root{color-scheme:light}body{font:15px/1.5 system-ui,sans-serif;color:#1b1b1b;max-width:62rem;margin:2rem auto;
padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ddd}
table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.15rem .7rem .15rem 0;text-align:right;
font-variant-numeric:tabular-nums;white-space:nowrap}td:last-child{white-space:normal}
td:first-child,th:first-child{text-align:left}th{font-weight:600;
border-bottom:1px solid #bbb}img{max-width:100%;height:auto}pre{background:#f6f6f6;padding:.7rem;overflow-x:auto}
.answer{font-size:1.15rem;background:#eef5fb;padding:.6rem .9rem;border-radius:.4rem}.warning{color:#8a4b00}
.serious{color:#a40000;font-weight:600}.info{color:#555}
"""


def write_report(hp: HParamLaw, path: str | PathLike[str], *, at: Any = None, within: float = 0.0025) -> None:
    """Write the page.

    Parameters
    ----------
    hp : HParamLaw
    path : path
        An existing file is replaced.
    at : (N, D) or sequence of them, optional
        Where to predict; by default ten times beyond the cell of the most compute, in N and D alike as far as the cells
        can tell.
    within : float
        Relative excess loss of the plateaus.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
    >>> hp = iso.fit_hparams(runs, draws=50, threshold=0.02)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = pathlib.Path(folder) / "hp.html"
    ...     hp.report(page)
    ...     "data:image/png;base64," in page.read_text(encoding="utf-8")
    True
    """
    write_whole(path, _page(hp, _targets(hp, at), within))


def _targets(hp: HParamLaw, at: Any) -> list[tuple[float, float]]:
    if at is None:
        c = int(np.argmax(hp.sweep.N * hp.sweep.D))
        N, D = float(hp.sweep.N[c]), float(hp.sweep.D[c])
        for size, tokens in ((10.0 * N, 10.0 * D), (10.0 * N, D), (N, 10.0 * D)):
            try:
                check_identified(size, tokens, hp.sweep)
            except DataError:
                continue
            return [(size, tokens)]
        return [(N, D)]
    pairs = [at] if np.ndim(at) == 1 and len(at) == 2 else list(at)
    return [(float(positive("N", N)), float(positive("D", D))) for N, D in pairs]


def _page(hp: HParamLaw, targets: Sequence[tuple[float, float]], within: float) -> str:
    sweep = hp.sweep
    source = sweep.runs.source
    title = "Learning rate and batch size"
    parts = [f"<h1>{title}</h1>", f"<p>{html.escape(str(hp.powers))}</p>"]
    for N, D in targets:
        parts += _answer(hp, N, D, within)
    parts += [
        "<h2>Data</h2>",
        _notices(check_runs(sweep.runs).findings),
        _text(str(check_runs(sweep.runs)).split("\n")[0]),
    ]
    parts += ["<h2>Fit</h2>", f"<pre>{html.escape(hp.summary())}</pre>", _notices(hp.warnings)]
    parts += ["<h2>Landscape of every cell</h2>", _picture(hp.plot.landscape(within=within)[0].figure, "landscapes")]
    parts += ["<h2>The optimum against N and D</h2>", _picture(hp.plot.optimum()[0].figure, "optimum")]
    c = int(np.argmax(sweep.N * sweep.D))
    slices = hp.plot.slices(N=float(sweep.N[c]), D=float(sweep.D[c]))
    parts += ["<h2>Slices of the cell of the most compute</h2>", _picture(slices[0].figure, "slices")]
    parts += ["<h2>Published laws on these cells</h2>", _comparison(hp)]
    parts += ["<h2>Convexity</h2>", f"<pre>{html.escape(str(hp.convexity()))}</pre>"]
    settings = ", ".join(
        f"{name} {getattr(hp.settings, name)}" for name in ("recipe", "tolerance", "diverged", "draws", "seed")
    )
    parts += [
        "<h2>Provenance</h2>",
        _text(f"isoloss {_core.__version__}; {settings}; data: {source.description}, SHA-256 {source.sha256}"),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body>{chr(10).join(parts)}</body></html>\n"
    )


def _answer(hp: HParamLaw, N: float, D: float, within: float) -> list[str]:
    best, flat = hp.predict(N=N, D=D), hp.plateau(N=N, D=D, within=within)
    where = f"N {format_si(N)}, D {format_si(D)}"
    lines = str(best).split("\n")
    rows = [
        ("least rectangle that holds it", *_sides(flat.box)),
        ("largest rectangle inside it", *_sides(flat.safe_box)),
    ]
    moved = hp.sensitivity(N=N, D=D)
    changes = [
        (
            row.choice,
            row.value + (" (used)" if row.used else ""),
            *((scientific(row.lr), format_si(row.batch), share(row.excess)) if not row.note else ("", "", row.note)),
        )
        for row in moved.rows
    ]
    return [
        f"<h2>At {where}</h2>",
        f'<p class="answer">{html.escape(lines[0])}</p>',
        _notices(best.warnings),
        _text(
            f"Plateau of at most {100 * within:g} %: area {format_number(flat.area, 3)} octaves squared; along the "
            f"valley lr goes as batch^{flat.ridge:.2f}."
        ),
        _table(("plateau", "lr from", "to", "batch from", "to"), rows),
        f"<h2>How the answer moves at {where}</h2>",
        _table(("choice", "value", "lr", "batch", "excess"), changes),
    ]


def _sides(box: Any) -> tuple[str, ...]:
    return (*(scientific(v) for v in box.lr), *(format_si(v) for v in box.batch))


def _comparison(hp: HParamLaw) -> str:
    try:
        rows = hp.compare().rows
    except IsolossError as error:
        return _text(str(error))
    cells = [(row.name, row.what, *(share(v) for v in row.mean), share(row.worst.nearest), row.note) for row in rows]
    return _table(("law", "gives", "nearest run", "interpolated", "own surface", "largest", "note"), cells)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _notices(found: Iterable[Any]) -> str:
    return "".join(
        f'<p class="{notice.severity}">{html.escape(notice.message)} <small>[{notice.code}]</small></p>'
        for notice in found
    )


def _text(words: str) -> str:
    return f"<p>{html.escape(words)}</p>"


def _picture(figure: Any, alt: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{alt}" src="data:image/png;base64,{encoded}">'
