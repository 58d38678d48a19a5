"""Many fits of one law in one call: other targets, weights, data or starts in every row.

Simulation studies, permutation tests, bootstraps of one's own and panels of curves are all the same call with other
arrays. Nothing here loops over problems in Python. Batches are cut into parts of bounded size, so beyond input and
output the memory does not grow with the number of problems; `fit_many_chunks` keeps neither of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss.checks import by_name, whole
from isoloss.engine.autodelta import of_width, settle
from isoloss.engine.basins import rounding
from isoloss.engine.batch import Batch
from isoloss.engine.posing import Bounds, Settings, as_law
from isoloss.engine.problem import F64, seed_number
from isoloss.engine.starts import Starts
from isoloss.engine.watch import OnInterrupt, Progress, Watch
from isoloss.errors import DataError, OptionError, did_you_mean, out_of_memory
from isoloss.fit.many_input import Many, align, batch_starts
from isoloss.fit.many_table import Columns, FitTable
from isoloss.law.object import Law
from isoloss.objective import Objective, resolve
from isoloss.objective.base import AUTO, Delta

__all__ = ["FitTable", "fit_many", "fit_many_chunks"]

_AT_ONCE = 200_000  # rows of starts in one call: bounds the memory of the starts and of the results to choose from
_OF_A_CHUNK = ("variables", "targets", "weights", "starts", "offsets", "groups")

Chunk = Mapping[str, Any]
"""Arguments of `fit_many` that differ between chunks, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked of every problem of a call, or of a stream."""

    law: Law
    settings: Settings
    watch: Watch


@out_of_memory("fit_many")
def fit_many(
    law: Law | str,
    variables: Mapping[str, Many],
    targets: Many,
    *,
    weights: Many | None = None,
    starts: Starts = None,
    offsets: ArrayLike | None = None,
    groups: ArrayLike | str | None = None,
    objective: Objective | str | None = None,
    delta: Delta | None = None,
    fix: Mapping[str, float] | None = None,
    tie: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
    seed: int | np.random.Generator = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
    on_interrupt: OnInterrupt = "raise",
) -> FitTable:
    """Fit one law B times.

    Parameters
    ----------
    law : Law or str
        A law, the name of one, or a text.
    variables : mapping of str to (n,) or (B, n) array_like
        The law's variables; a row for each problem where they differ between problems. Where problems differ in their
        number of points, a list of an array for each, or (n,) with `offsets` or `groups`.
    targets : (n,) or (B, n) array_like, or list of arrays
        What the law is to predict.
    weights : (n,) or (B, n) array_like, or list of arrays, optional
        Zero or above; a point of weight zero counts as absent. Pivots and ``"min_loss"`` are taken once for all
        problems, from the points that carry weight in any: amplitudes of one table compare.
    starts : int, mapping, array_like, optional
        A number of automatic starts for each problem, or values by name whose product is taken. An array is (p,), one
        start for all; (B, p), one start for each problem; or (B, S, p), several for each, the best of which is kept.
        Where nothing else says what B is, the rows of a (B, p) array do. By default the law's own rule.
    offsets : (B + 1,) array_like of int, optional
        Problem b owns the points from ``offsets[b]`` to ``offsets[b + 1]`` of arrays (n,), as in Arrow lists.
    groups : (n,) array_like or str, optional
        Labels of arrays (n,), or the name of a variable that holds them: the points of equal label are a problem.
        Problems come in the sorted order of their labels, kept in ``FitTable.labels``.
    objective, delta, fix, tie, bounds, seed
        As for `fit`. With ``delta="auto"`` every problem gets a width of its own, in ``FitTable.delta``.
    n_threads : int, optional
        The results do not depend on it. By default the environment's ``ISOLOSS_THREADS``, else every core.
    progress : callable, optional
        Called as ``progress(done, total)`` a few times a second, counting starts. True stops as Ctrl-C does; an
        exception comes back unchanged.
    on_interrupt : {"raise", "partial"}
        What Ctrl-C does: raise KeyboardInterrupt, or return what is finished. The other rows are then NaN and have the
        status ``CANCELLED``.

    Returns
    -------
    FitTable

    Raises
    ------
    DataError
        Arrays do not fit together, hold NaN, or targets lie outside the domain of the objective.
    LawError
        Unknown law or names.
    OptionError
        Another argument is not understood.

    Examples
    --------
    >>> import numpy as np
    >>> import isoloss as iso
    >>> N = np.geomspace(1e7, 1e10, 8)
    >>> truth = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    >>> losses = truth(N=N, E=1.8, A=400.0, alpha=0.34) * np.array([[1.0], [1.1]])
    >>> iso.fit_many(truth, {"N": N}, losses, objective="squared_log").params.round(3)
    array([[1.80e+00, 4.00e+02, 3.40e-01],
           [1.98e+00, 4.40e+02, 3.40e-01]])

    Curves of different lengths, told apart by a column:

    >>> curve = np.array(["small"] * 8 + ["large"] * 5)
    >>> table = iso.fit_many(truth, {"N": np.r_[N, N[:5]]}, np.r_[losses[0], losses[1, :5]], groups=curve)
    >>> table.labels.tolist(), table["E"].round(2).tolist()
    (['large', 'small'], [1.98, 1.8])
    """
    watch = Watch(progress, on_interrupt, n_threads)
    question = _asked(law, starts, objective, delta, fix, tie, bounds, seed, watch)
    chunk = {"variables": variables, "targets": targets, "weights": weights, "offsets": offsets, "groups": groups}
    return _run(question, chunk, None)


def fit_many_chunks(
    law: Law | str,
    chunks: Iterable[Chunk] | Callable[[int, int], Chunk],
    *,
    size: int | None = None,
    chunk_size: int = 100_000,
    starts: Starts = None,
    objective: Objective | str | None = None,
    delta: Delta | None = None,
    fix: Mapping[str, float] | None = None,
    tie: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
    seed: int | np.random.Generator = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
    on_interrupt: OnInterrupt = "raise",
) -> Iterator[FitTable]:
    """Fit one law to a stream of problems: a table for each chunk, nothing of which is kept.

    Parameters
    ----------
    law : Law or str
        As for `fit_many`.
    chunks : iterable of mappings, or callable
        Each chunk maps ``variables``, ``targets`` and, where wanted, ``weights``, ``starts``, ``offsets`` or ``groups``
        to what `fit_many` takes. A callable makes the chunk of the problems from `first` up to, not including, `last`
        when called as ``chunks(first, last)``; it needs `size`.
    size : int, optional
        Number of problems in all. With an iterable it only serves the total that progress counts to.
    chunk_size : int
        Problems that a callable is asked for at once.
    starts
        For chunks without their own.
    objective, delta, fix, tie, bounds, seed, n_threads
        As for `fit_many`. What is taken from data (pivots, ``"min_loss"``, the reach of automatic starts) is taken from
        each chunk by itself: give numbers where chunks are to be alike.
    progress : callable, optional
        Called as ``progress(done, total)``, counting problems.
    on_interrupt : {"raise", "partial"}
        With ``"partial"`` the table of the interrupted chunk is the last.

    Yields
    ------
    FitTable
        Of one chunk, in the order of the chunks.

    Raises
    ------
    DataError, LawError, OptionError
        As `fit_many`; wrong options at once, wrong data when their chunk comes.

    Examples
    --------
    A million resamples would need no more memory than ten thousand:

    >>> import numpy as np
    >>> import isoloss as iso
    >>> N = np.geomspace(1e7, 1e10, 12)
    >>> truth = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    >>> loss = truth(N=N, E=1.8, A=400.0, alpha=0.34)
    >>> def resampled(first, last):
    ...     noise = np.random.default_rng(first).standard_normal((last - first, 12))
    ...     return {"variables": {"N": N}, "targets": loss * np.exp(0.01 * noise)}
    >>> tables = iso.fit_many_chunks(truth, resampled, size=250, chunk_size=100, starts=[2.0, 300.0, 0.3])
    >>> [len(table) for table in tables]
    [100, 100, 50]
    """
    whole("chunk_size", chunk_size, 1)
    if size is not None:
        whole("size", size, 1)
    watch = Watch(progress, on_interrupt, n_threads)
    question = _asked(law, starts, objective, delta, fix, tie, bounds, seed, watch)
    if callable(chunks):
        if size is None:
            raise OptionError("chunks is a function: size says how many problems there are in all", argument="size")
        make, ends = chunks, range(0, size, chunk_size)
        source: Iterable[Chunk] = (make(first, min(first + chunk_size, size)) for first in ends)
    elif isinstance(chunks, Mapping) or not isinstance(chunks, Iterable):
        message = f"chunks is a {type(chunks).__name__}; it needs to be an iterable of mappings or a function"
        raise OptionError(message, argument="chunks")
    else:
        source = chunks
    return _stream(question, source, size or 0)


def _asked(
    law: Law | str,
    starts: Starts,
    objective: Objective | str | None,
    delta: Delta | None,
    fix: Mapping[str, float] | None,
    tie: Mapping[str, str] | None,
    bounds: Bounds | None,
    seed: int | np.random.Generator,
    watch: Watch,
) -> _Question:
    """The arguments that `fit_many` and `fit_many_chunks` share, understood."""
    chosen = as_law(law)
    settings = Settings(
        objective=resolve(chosen.recipe.objective if objective is None else objective, delta),
        starts=chosen.starts if starts is None else starts,
        fix=by_name("fix", fix, "{'E': 1.69}"),
        tie=by_name("tie", tie, "{'beta': 'alpha'}"),
        bounds=by_name("bounds", bounds, "{'alpha': (0, 2)}"),
        seed=seed_number(seed),
    )
    return _Question(law=chosen, settings=settings, watch=watch)


def _stream(question: _Question, chunks: Iterable[Chunk], size: int) -> Iterator[FitTable]:
    done = 0
    for number, chunk in enumerate(chunks):
        _check_chunk(number, chunk)
        table = _run(question, chunk, (done, size))
        done += len(table)
        yield table
        if question.watch.stopped:
            return
        del table, chunk  # not held while the next chunk is made


def _check_chunk(number: int, chunk: Any) -> None:
    if not isinstance(chunk, Mapping):
        message = f"chunk {number} is a {type(chunk).__name__}; it needs to be a mapping with variables and targets"
        raise DataError(message, code="data-source", chunk=number)
    for name in chunk:
        if name not in _OF_A_CHUNK:
            message = (
                f"chunk {number} holds {name!r}{did_you_mean(name, _OF_A_CHUNK)}; it takes {', '.join(_OF_A_CHUNK)}"
            )
            raise OptionError(message, argument="chunks", chunk=number)
    for name in _OF_A_CHUNK[:2]:
        if name not in chunk:
            raise DataError(f"chunk {number} has no {name}", code="data-source", chunk=number)


def _run(question: _Question, chunk: Chunk, stretch: tuple[int, int] | None) -> FitTable:
    """One table; progress counts starts, or with a stretch (first problem, all problems) problems of a stream."""
    watch, settings = question.watch, question.settings
    if "starts" in chunk:
        settings = replace(settings, starts=chunk["starts"])
    batch = align(
        question.law,
        chunk["variables"],
        chunk["targets"],
        chunk.get("weights"),
        offsets=chunk.get("offsets"),
        groups=chunk.get("groups"),
        settings=settings,
    )
    starts = batch_starts(batch, settings.starts, settings.seed)
    auto = batch.problem.objective.delta == AUTO
    count = starts.count
    columns = Columns.unfinished(batch.size, len(batch.problem.names))
    step = max(1, _AT_ONCE // count)
    inner = watch.silent()
    inner.total = batch.size * count
    inner.progress = watch.progress if stretch is None else _by_problem(watch.progress, count, *stretch, batch.size)
    try:
        for first in range(0, batch.size, step):
            last = min(first + step, batch.size)
            inner.before = first * count
            part, here = batch.part(first, last), starts.pick(slice(first, last))
            deltas = None
            if auto:
                found = settle(part, here, inner)
                tries, deltas = found.tries, found.delta
                columns.delta[first:last], columns.delta_settled[first:last] = deltas, found.settled
            else:
                tries = part.solve(here, inner)
            columns.put(first, tries, _rounding(part, deltas, count))
            if inner.stopped:
                break
    except KeyboardInterrupt:
        # Between two calls of the engine; inside of one it is the engine that hears it.
        if not watch.partial:
            raise
        inner.stopped = True
    if inner.stopped:
        watch.stopped = True
        columns.blank()
    return FitTable(
        params=columns.params,
        names=batch.problem.names,
        value=columns.value,
        status=columns.status,
        iterations=columns.iterations,
        at_bound=columns.at_bound,
        optima=columns.optima,
        share=columns.share,
        gap=columns.gap,
        starts=count,
        law=question.law,
        points=batch.points,
        free=int(batch.problem.parameters.free.sum()),
        rival=columns.rival,
        labels=batch.labels,
        delta=columns.delta if auto else None,
        delta_settled=columns.delta_settled if auto else None,
    )


def _by_problem(progress: Progress | None, count: int, first: int, total: int, size: int) -> Progress | None:
    """Progress in problems of a whole stream, from progress in starts of one chunk."""
    if progress is None:
        return None
    return lambda done, _: progress(first + done // count, max(total, first + size))


def _rounding(batch: Batch, deltas: F64 | None, count: int) -> F64:
    """(B,) differences of the objective that are rounding; zeros for a single start, which differs from none."""
    if count == 1:
        return np.zeros(batch.size)
    problem = batch.problem if deltas is None else of_width(batch.problem, 1.0)
    return np.broadcast_to(rounding(problem, batch.offsets, deltas), batch.size)
