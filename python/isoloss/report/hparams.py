"""The page about a fitted hyper-parameter law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss import _core
from isoloss.errors import DataError, IsolossError
from isoloss.hparams.check import check_runs
from isoloss.hparams.plateau import positive
from isoloss.hparams.predictions import check_identified, scientific, share
from isoloss.report import page
from isoloss.units import format_number, format_si
from isoloss.writing import write_whole

if TYPE_CHECKING:
    from os import PathLike

    from isoloss.hparams.law import HParamLaw

__all__ = ["write_report"]


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
    write_whole(path, _whole(hp, _targets(hp, at), within))


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


def _whole(hp: HParamLaw, targets: Sequence[tuple[float, float]], within: float) -> str:
    sweep = hp.sweep
    source = sweep.runs.source
    parts = [page.text(str(hp.powers))]
    for N, D in targets:
        parts += _answer(hp, N, D, within)
    parts += [
        page.section("Data"),
        page.notices(check_runs(sweep.runs).warnings),
        page.text(str(check_runs(sweep.runs)).split("\n")[0]),
    ]
    parts += [page.section("Fit"), page.code(hp.summary()), page.notices(hp.warnings)]
    parts += [
        page.section("Landscape of every cell"),
        page.picture(hp.plot.landscape(within=within)[0].figure, "landscapes"),
    ]
    parts += [page.section("The optimum against N and D"), page.picture(hp.plot.optimum()[0].figure, "optimum")]
    c = int(np.argmax(sweep.N * sweep.D))
    slices = hp.plot.slices(N=float(sweep.N[c]), D=float(sweep.D[c]))
    parts += [page.section("Slices of the cell of the most compute"), page.picture(slices[0].figure, "slices")]
    parts += [page.section("Published laws on these cells"), _comparison(hp)]
    parts += [page.section("Convexity"), page.code(str(hp.convexity()))]
    settings = ", ".join(
        f"{name} {getattr(hp.settings, name)}" for name in ("recipe", "tolerance", "diverged", "draws", "seed")
    )
    parts += [
        page.section("Provenance"),
        page.text(f"isoloss {_core.__version__}; {settings}; data: {source.description}, SHA-256 {source.sha256}"),
    ]
    return page.page("Learning rate and batch size", parts)


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
        page.section(f"At {where}"),
        page.answer(lines[0]),
        page.notices(best.warnings),
        page.text(
            f"Plateau of at most {100 * within:g} %: area {format_number(flat.area, 3)} octaves squared; along the "
            f"valley lr goes as batch^{flat.ridge:.2f}."
        ),
        page.table(("plateau", "lr from", "to", "batch from", "to"), rows),
        page.section(f"How the answer moves at {where}"),
        page.table(("choice", "value", "lr", "batch", "excess"), changes),
    ]


def _sides(box: Any) -> tuple[str, ...]:
    return (*(scientific(v) for v in box.lr), *(format_si(v) for v in box.batch))


def _comparison(hp: HParamLaw) -> str:
    try:
        rows = hp.compare().rows
    except IsolossError as error:
        return page.text(str(error))
    cells = [(row.name, row.what, *(share(v) for v in row.mean), share(row.worst.nearest), row.note) for row in rows]
    return page.table(("law", "gives", "nearest run", "interpolated", "own surface", "largest", "note"), cells)
