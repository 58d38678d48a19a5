r"""The cost of a datastore to retrieve from, and the envelope of performance over compute.

Shao et al. (2024) count 6 N D FLOPs for pretraining and 2 N_r R for encoding R tokens with a retriever of N_r
parameters; a flat index adds nothing. A datastore of a share p of the tokens is emulated by retrieving K documents and
keeping each with probability p: it works unless fewer than k are kept, Binomial(K, p) < k.
"""

from __future__ import annotations

from math import lgamma
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError
from isoloss.law.parts import Published, Source
from isoloss.rules._rule import Quantity, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ENTRIES",
    "datastore_subsampling",
    "pareto_envelope",
    "retrieval_break_even",
    "retrieval_flops",
]

F64 = NDArray[np.float64]
_FAMILY = "retrieval"
SHAO = Source(
    "Scaling Retrieval-Based Language Models with a Trillion-Token Datastore", "2407.12854", "Shao et al.", 2024
)
_RETRIEVER = {"retriever": Quantity("parameters", "size of the retriever", 177e6)}
_SETS = {
    "contriever": Published({"retriever": 177e6}, "arXiv:2407.12854, table 6", note="perplexity 4.2210"),
    "dragon": Published({"retriever": 110e6}, "arXiv:2407.12854, table 6", note="perplexity 4.2373"),
    "gtr": Published({"retriever": 110e6}, "arXiv:2407.12854, table 6", note="perplexity 4.2146"),
}


def retrieval_flops() -> Rule:
    """FLOPs of pretraining and of building a datastore.

    Examples
    --------
    >>> import isoloss as iso
    >>> f"{iso.rules.get('retrieval_flops')(N='1B', D='300B', R='1.4T'):.3e}"
    '2.296e+21'
    """
    return Rule(
        name="retrieval_flops",
        family=_FAMILY,
        formula=("C = 6 * N * D + 2 * retriever * R",),
        gives="FLOPs",
        function=lambda N, D, R, retriever: 6.0 * N * D + 2.0 * retriever * R,
        variables={
            "N": Quantity("parameters", "language model"),
            "D": Quantity("tokens", "pretraining"),
            "R": Quantity("tokens", "datastore", low=0.0, positive=False),
        },
        parameters=_RETRIEVER,
        source=SHAO,
        status="verified",
        states_law=False,
        published=_SETS,
        notes=("A flat index costs nothing more to build; what a query costs is not counted.",),
    )


def retrieval_break_even() -> Rule:
    """Pretraining tokens that cost as much as a datastore.

    Examples
    --------
    >>> import isoloss as iso
    >>> f"{iso.rules.get('retrieval_break_even')(N='1B', R='1.4T'):.3g}"
    '8.26e+10'
    """
    return Rule(
        name="retrieval_break_even",
        family=_FAMILY,
        formula=("D = 2 * retriever * R / (6 * N)",),
        gives="tokens of pretraining at the cost of the datastore",
        function=lambda N, R, retriever: retriever * R / (3.0 * N),
        variables={"N": Quantity("parameters", "language model"), "R": Quantity("tokens", "datastore")},
        parameters=_RETRIEVER,
        source=SHAO,
        status="derived",
        states_law=False,
        published=_SETS,
    )


def _subsampling(p: F64 | float, K: float, k: float) -> F64 | float:
    share = np.minimum(np.asarray(p, dtype=np.float64), 1.0 - 1e-15)  # ln(1 - p) of the whole datastore
    fails = np.zeros_like(share)
    for kept in range(min(int(k), int(K) + 1)):
        ways = lgamma(K + 1.0) - lgamma(kept + 1.0) - lgamma(K - kept + 1.0)
        fails += np.exp(ways + kept * np.log(share) + (K - kept) * np.log1p(-share))
    return np.clip(1.0 - fails, 0.0, 1.0)


def datastore_subsampling() -> Rule:
    """Probability that a sampled datastore still gives k documents.

    Examples
    --------
    >>> import isoloss as iso
    >>> round(iso.rules.get("datastore_subsampling")(p=0.01), 4)
    0.9973
    """
    return Rule(
        name="datastore_subsampling",
        family=_FAMILY,
        formula=("probability = 1 - P(Binomial(K, p) < k)",),
        latex_lines=(r"1 - \sum_{i < k} \binom{K}{i} p^i (1 - p)^{K - i}",),
        gives="probability",
        function=_subsampling,
        variables={"p": Quantity("1", "share of the datastore kept", high=1.0)},
        parameters={
            "K": Quantity("documents", "retrieved from the whole datastore", 1000.0, 1.0),
            "k": Quantity("documents", "used", 3.0, 1.0),
        },
        source=SHAO,
        status="verified",
        states_law=False,
        published={"paper": Published({"K": 1000.0, "k": 3.0}, "arXiv:2407.12854, appendix A")},
    )


def _envelope(compute: F64, loss: F64) -> NDArray[np.intp]:
    if np.ndim(compute) != 1 or np.shape(compute) != np.shape(loss):
        raise DataError("inputs 'compute' and 'loss' are arrays of one length", code="data-shape")
    order = np.lexsort((loss, compute))
    best = np.minimum.accumulate(loss[order])
    keep = np.concatenate([[True], loss[order][1:] < best[:-1]])
    found: NDArray[np.intp] = order[keep]
    return found


def pareto_envelope() -> Rule:
    """Runs that no cheaper run matches.

    Examples
    --------
    >>> import isoloss as iso
    >>> iso.rules.get("pareto_envelope")(compute=[1, 2, 3, 4], loss=[3.0, 2.5, 2.8, 2.0])
    array([0, 1, 3])
    """
    return Rule(
        name="pareto_envelope",
        family=_FAMILY,
        formula=("best(C) = min of loss over runs with compute <= C",),
        latex_lines=(r"\min_{C_i \le C} L_i",),
        gives="indices of the runs on the envelope, by rising compute",
        function=_envelope,
        variables={
            "compute": Quantity("FLOPs", "cost of each run, an array"),
            "loss": Quantity("any", "loss or error of each run, an array", positive=False),
        },
        source=SHAO,
        status="verified",
        states_law=False,
        notes=("The paper draws this envelope over N, D and the datastore, and fits no curve to it.",),
    )


ENTRIES: Mapping[str, Callable[[], Rule]] = MappingProxyType(
    {
        "retrieval_flops": retrieval_flops,
        "retrieval_break_even": retrieval_break_even,
        "datastore_subsampling": datastore_subsampling,
        "pareto_envelope": pareto_envelope,
    }
)
"""The rules of this family by name."""
