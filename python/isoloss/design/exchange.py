r"""The choice: an exact design of at most n runs within a budget, by greedy starts and exchanges.

The criterion is the mean over draws of the parameters, and over laws, of the logarithm of the target's variance
(Bayesian c-optimality: Chaloner and Verdinelli 1995; locally, for known parameters, Elfving 1952). Runs are added one
by one, by gain and by gain per cost; then they are exchanged while that helps (Fedorov 1972): one for another, one for
two, two for one, since under a budget a large run may be worth less than two small ones. The best of several starts is
kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from isoloss.design.information import Model
from isoloss.engine.problem import F64

__all__ = ["choose", "criterion"]

_STARTS = 4  # random ones beside the two greedy ones
_ENOUGH = 1e-9  # gain of the criterion that is worth a move
_MOVES = 500
_PAIRS = 200  # candidates up to which one run is exchanged for two
_TWO = 16  # runs up to which two are exchanged for one
_SLACK = 1e-9  # of the budget, for rounding


def criterion(models: Sequence[Model], chosen: list[int]) -> float:
    """Mean logarithm of the target's variance with the chosen candidates added."""
    return float(np.mean([np.mean(np.log(model.variance(chosen))) for model in models]))


def choose(models: Sequence[Model], cost: F64, *, n: int, budget: float, seed: int) -> list[int]:
    """Numbers of the chosen candidates, the most useful first; one may be chosen several times.

    Parameters
    ----------
    models : sequence of Model
    cost : (k,) float64
    n : int
        At most so many.
    budget : float
        Their costs add up to no more.
    seed : int
        Of the random starts.
    """
    limit = budget * (1.0 + _SLACK)
    rng = np.random.default_rng(seed)
    starts = [_fill(models, cost, [], n, limit, power) for power in (0.0, 1.0)]
    starts += [_random(rng, cost, n, limit) for _ in range(_STARTS)]
    found = [_improve(models, cost, start, n, limit) for start in starts]
    best = min(found, key=lambda chosen: criterion(models, chosen))
    return _ordered(models, best)


def _after(models: Sequence[Model], chosen: list[int]) -> F64:
    """(k,) the criterion after adding each candidate."""
    total = np.zeros(models[0].rows.shape[1])
    for model in models:
        inverse = model.inverse(chosen)
        toward = np.einsum("sqr,sr->sq", inverse, model.slope)
        variance = np.einsum("sq,sq->s", toward, model.slope)
        across = np.einsum("skq,sq->sk", model.rows, toward)
        own = np.einsum("skq,sqr,skr->sk", model.rows, inverse, model.rows, optimize=True)
        left = variance[:, None] - across**2 / (1.0 + own)
        total += np.mean(np.log(np.maximum(left, 1e-300)), axis=0)
    return total / len(models)


def _after_two(models: Sequence[Model], chosen: list[int]) -> F64:
    """(k, k) the criterion after adding each pair of candidates, one and the same among them."""
    k = models[0].rows.shape[1]
    total = np.zeros((k, k))
    for model in models:
        inverse = model.inverse(chosen)
        for s in range(len(inverse)):  # one draw at a time: pairs are many
            rows, A, c = model.rows[s], inverse[s], model.slope[s]
            across = rows @ A @ c
            each = rows @ A @ rows.T
            own = np.diag(each)
            # Rank-one updates by the first, then by the second (Sherman and Morrison 1950).
            first = c @ A @ c - across**2 / (1.0 + own)
            across_two = across[None, :] - each * (across / (1.0 + own))[:, None]
            own_two = own[None, :] - each**2 / (1.0 + own)[:, None]
            left = first[:, None] - across_two**2 / (1.0 + own_two)
            total += np.log(np.maximum(left, 1e-300)) / len(inverse)
    return total / len(models)


def _fill(models: Sequence[Model], cost: F64, chosen: list[int], n: int, limit: float, power: float) -> list[int]:
    """Add the best candidate while one fits: by gain over a power of its cost."""
    chosen = list(chosen)
    while len(chosen) < n:
        left = limit - cost[chosen].sum()
        gain = criterion(models, chosen) - _after(models, chosen)
        with np.errstate(over="ignore"):  # costs may be next to nothing
            worth = np.where(cost <= left, gain / cost**power, -np.inf)
        best = int(np.argmax(worth))
        if not (cost[best] <= left and gain[best] > _ENOUGH):
            break
        chosen.append(best)
    return chosen


def _random(rng: np.random.Generator, cost: F64, n: int, limit: float) -> list[int]:
    """Candidates at random, as long as they fit."""
    chosen: list[int] = []
    while len(chosen) < n:
        fits = np.flatnonzero(cost <= limit - cost[chosen].sum())
        if len(fits) == 0:
            break
        chosen.append(int(rng.choice(fits)))
    return chosen


def _improve(models: Sequence[Model], cost: F64, chosen: list[int], n: int, limit: float) -> list[int]:
    """The best move again and again, until none helps; the costly ones only where no other does."""
    now = criterion(models, chosen)
    for _ in range(_MOVES):
        for moves in (_single, _double):
            found = moves(models, cost, chosen, n, limit)
            value, design = min(found, key=lambda move: move[0], default=(now, chosen))
            if value < now - _ENOUGH:
                now, chosen = value, design
                break
        else:
            break
    return chosen


def _single(
    models: Sequence[Model], cost: F64, chosen: list[int], n: int, limit: float
) -> Iterator[tuple[float, list[int]]]:
    """One more, and one for another: the best of each, with the criterion it leads to."""
    if len(chosen) < n:
        yield from _best(models, cost, chosen, limit)
    for gone in sorted(set(chosen)):
        yield from _best(models, cost, _without(chosen, gone), limit)


def _double(
    models: Sequence[Model], cost: F64, chosen: list[int], n: int, limit: float
) -> Iterator[tuple[float, list[int]]]:
    """One for two, and two for one."""
    if len(chosen) < n and len(cost) <= _PAIRS:
        for gone in sorted(set(chosen)):
            kept = _without(chosen, gone)
            both = cost[:, None] + cost[None, :] <= limit - cost[kept].sum()
            if both.any():
                values = np.where(both, _after_two(models, kept), np.inf)
                first, second = np.unravel_index(int(np.argmin(values)), values.shape)
                yield float(values[first, second]), [*kept, int(first), int(second)]
    if len(chosen) <= _TWO:
        for pair in sorted(set(combinations(sorted(chosen), 2))):
            # What fits in place of one of them is better beside the other: only larger runs are worth two.
            room = limit - cost[_without(chosen, pair[int(cost[pair[0]] < cost[pair[1]])])].sum()
            yield from _best(models, cost, _without(chosen, *pair), limit, above=room)


def _without(chosen: list[int], *gone: int) -> list[int]:
    kept = list(chosen)
    for one in gone:
        kept.remove(one)
    return kept


def _best(
    models: Sequence[Model], cost: F64, kept: list[int], limit: float, above: float = 0.0
) -> Iterator[tuple[float, list[int]]]:
    """The best candidate to add, if any fits that costs more than `above`."""
    fits = (cost <= limit - cost[kept].sum()) & (cost > above)
    if fits.any():
        values = np.where(fits, _after(models, kept), np.inf)
        best = int(np.argmin(values))
        yield float(values[best]), [*kept, best]


def _ordered(models: Sequence[Model], chosen: list[int]) -> list[int]:
    """The chosen ones in the order in which each adds most to those before it."""
    left = sorted(chosen)
    done: list[int] = []
    while left:
        after = _after(models, done)
        best = min(left, key=lambda k: (after[k], k))
        left.remove(best)
        done.append(best)
    return done
