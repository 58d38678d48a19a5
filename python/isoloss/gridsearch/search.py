r"""Exhaustive search: the best of every cell of a Cartesian grid, and all that is nearly as good.

The grid is never written out. Each part of an expression is computed once on the sub-grid of the axes it depends on;
where the value of a cell is a sum (or another monotone combination) of a part along the last axis and parts along the
others, the least of a line follows from the least of its parts:

.. math:: \min_j \, fl(u_i + v_j) = fl(u_i + \min_j v_j),

since rounding is monotone (IEEE 754). So the result is that of visiting every cell, to the bit, without doing so; where
an expression does not have that form every cell is visited. Exhaustive means exhaustive: nothing is sampled. How far
the best cell may be from the best point between cells is a question of the step of the axes, which results state.

The plateau at tolerance t is the set of all cells whose value is at most best + t \|best\|.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from isoloss.engine.watch import OnInterrupt, Progress, Watch
from isoloss.errors import OptionError, out_of_memory
from isoloss.gridsearch.args import read_axes, read_by, read_condition, read_pareto, read_tolerance, read_top, run
from isoloss.gridsearch.asked import Asked
from isoloss.gridsearch.draws import SearchDraws, make_draws, run_draws
from isoloss.gridsearch.make import make, with_notices
from isoloss.gridsearch.names import DRAW, resolve
from isoloss.gridsearch.parts import Front, Plateau, Top
from isoloss.gridsearch.refine import Refined
from isoloss.gridsearch.refine import refine as refine_best
from isoloss.gridsearch.result import Search
from isoloss.gridsearch.size import require_memory

__all__ = ["Front", "Plateau", "Refined", "Search", "SearchDraws", "Top", "answer", "search"]


@out_of_memory("search")
def search(
    target: Any,
    axes: Mapping[str, Any],
    *,
    where: str | Sequence[str] | None = None,
    minimize: str | None = None,
    by: str | Sequence[str] = (),
    within: float | str | None = None,
    top: int | None = None,
    pareto: tuple[str, str] | None = None,
    shape: bool = True,
    refine: bool = False,
    method: str = "auto",
    n_threads: int | None = None,
    progress: Progress | None = None,
    on_interrupt: OnInterrupt = "raise",
) -> Search:
    """Find the best cell of a grid, by group, and all that is nearly as good.

    Parameters
    ----------
    target : bound law, Fit, Draws, text, or mapping of names to these
        What is computed for each cell. A single law is called ``loss``; a mapping gives several quantities their
        names, which `minimize`, `where` and later texts may use, as in
        ``{"loss": fit, "cost": "6 * N * D / 1e18"}``. Names are those of the axes; N, D and C complete each other by
        C = 6 N D. Under `Draws` the search is made at the estimates, and again under every draw: see `Search.draws`.
    axes : mapping of str to values
        An array, a range (`isoloss.linspace`, `isoloss.geomspace`), one number, or a table whose columns move together:
        a frame or a mapping of columns.
    where : str or sequence of str, optional
        Conditions, all of which must hold for a cell to count: comparisons, ``and``, ``or``, ``not``, ``%``, ``//``,
        as in ``"6*N*D <= 1e24 and batch % 65536 == 0"``.
    minimize : str, optional
        Expression to make least; by default the first target. Minus an expression makes it largest.
    by : str or sequence of str
        Axes whose cells are groups: there is one best for each.
    within : float or text such as ``"0.1%"``, optional
        Tolerance t of the plateau: all cells of at most best + t abs(best).
    top : int, optional
        Also list so many of the least cells of each group.
    pareto : pair of str, optional
        Two expressions: also list the cells that no other cell of the group beats in both (each made least).
    shape : bool
        Also volume, ridge and connected parts of each plateau.
    refine : bool
        Also look between the cells around each best one, along the ordered axes, and prove how much lower the value
        can be there.
    method : {"auto", "visit"}
        ``"visit"`` goes over every cell even where the least of a line is known without; the results are the same.
    n_threads : int, optional
        The results do not depend on it.
    progress : callable, optional
        Called as ``progress(done, total)`` in units of work; True stops as Ctrl-C does.
    on_interrupt : {"raise", "partial"}
        Whether Ctrl-C raises KeyboardInterrupt, or gives what was visited until then, with a notice of code
        ``interrupted``: see `Search.visited`.

    Returns
    -------
    Search

    Raises
    ------
    LawError
        Codes ``law-syntax``, ``law-unknown-name``, ``law-missing-name``: a text that cannot be read, or names that
        stand for nothing.
    DataError
        An axis that is empty or holds what is no finite number.
    OptionError
        Code ``option``.
    OutOfMemoryError
        Code ``out-of-memory``: more groups, least cells or draws than memory holds; told before the search begins.

    Examples
    --------
    >>> import isoloss as iso
    >>> law = iso.laws.get("chinchilla").bind("besiroglu2024")
    >>> axes = {"N": iso.geomspace("1B", "1T", 101), "D": iso.geomspace("10B", "100T", 401)}
    >>> found = iso.search(law, axes, where="6 * N * D <= 5.76e23")
    >>> print(found)
    least loss of 40,501 cells where 6 * N * D <= 5.76e23: N (101) x D (401)
      25,149 cells count
      best 1.97412 at N 72.4B, D 1.32T
    >>> found.best == law(**found.argbest)
    True
    >>> target = {"loss": law, "cost": "6 * N * D"}
    >>> cheapest = iso.search(target, axes, minimize="cost", where="loss <= 2.0")
    >>> print(cheapest)
    least cost of 40,501 cells where loss <= 2.0: N (101) x D (401)
      14,419 cells count
      best 2.44428e23 at N 44.7B, D 912B
    """
    grid = read_axes(axes)
    groups = read_by(by, grid)
    front = read_pareto(pareto)
    names = resolve(target, grid, minimize if front is None or minimize is not None else front[0])
    condition = read_condition(where)
    if condition is not None:
        names.check(condition, "where")
    second = None
    if front is not None:
        for text in front:
            names.check(text, "pareto")
        if names.minimize not in front:
            message = f"minimize={minimize!r} is neither of the two expressions of pareto"
            raise OptionError(message, argument="minimize")
        second = front[1] if names.minimize == front[0] else front[0]
    tolerance = read_tolerance(within)
    most = read_top(top)
    if method not in ("auto", "visit"):
        raise OptionError(f"method={method!r} is neither 'auto' nor 'visit'", argument="method")
    watch = Watch(progress, on_interrupt, n_threads=n_threads)
    drawn = names.draws
    asked = Asked(
        axes=grid,
        by=tuple(groups),
        definitions=tuple(names.definitions),
        minimize=names.minimize,
        condition=condition,
        second=second,
        within=tolerance,
        top=most,
        shape=shape and tolerance is not None,
        refine=bool(refine),
        visit=method == "visit",
        drawn=None if drawn is None else tuple(names.with_draws(drawn)),
        draws={} if drawn is None else {DRAW + name: drawn.params[:, j].copy() for j, name in enumerate(drawn.names)},
    )
    return answer(asked, watch)


def answer(asked: Asked, watch: Watch) -> Search:
    """The result of a search that was resolved."""
    require_memory(asked, watch.threads)
    found = run(
        asked.axes,
        asked.by,
        asked.definitions,
        asked.minimize,
        asked.condition,
        second=asked.second,
        within=asked.within,
        top=asked.top,
        shape=asked.shape,
        visit=asked.visit,
        watch=watch,
    )
    made = make(asked, found)
    if asked.refine and not watch.stopped:
        try:
            made = replace(made, refined=refine_best(made, asked, watch))
        except KeyboardInterrupt:
            if not watch.partial:
                raise
            watch.stopped = True
    if asked.drawn is not None and not watch.stopped:
        made = replace(made, draws=make_draws(asked, run_draws(asked, watch)))
    return with_notices(made)
