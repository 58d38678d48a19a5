r"""Training compute from the architecture instead of 6ND: FLOPs per token as a function of N.

6N FLOPs per token count the products with the weights of the blocks, forward and backward. A transformer of L layers,
width d, feed-forward ratio f and a vocabulary of V tokens, read in sequences of s tokens, has

    N_block = L (2 + 2 k + 2 f) d^2       (3 f instead of 2 f for gated feed-forward layers)
    N_total = N_block + V d               (2 V d where input and output embeddings are not shared)

with k heads of keys and values to one of queries: 1 with multi-head attention, less where they are grouped (Ainslie et
al. 2023). Its forward pass takes, per token and with a multiply-add as two FLOPs,

    Hoffmann et al. 2022, appendix F      2 N_block + 4 L s d + 3 L s d / head_dim + 4 V d
    Kaplan et al. 2020, table 1           2 N_block + 2 L s d
    DeepSeek-AI 2024 (arXiv:2401.02954)   2 N_block + 4 L s d

The terms: weights of the blocks; queries times keys and the values they weigh, over the whole sequence; the softmax;
the embedding as a product, and the logits. Kaplan et al. count one of the two products over the sequence, and like
DeepSeek leave the vocabulary out; the count of DeepSeek is that of Chowdhery et al. 2022, appendix B. The backward pass
takes twice the forward pass, so training takes three times as much.

With the number of layers fixed, or the ratio d / L, the size N tells d: a root of a quadratic or of a cubic. Widths and
depths are real numbers here, so that compute is a smooth function of N that rises.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from isoloss.engine.problem import F64
from isoloss.errors import DataError, OptionError, did_you_mean
from isoloss.units import FLOPS_PER_PARAMETER_TOKEN, parse_number, real_numbers

__all__ = [
    "Cost",
    "Flops",
    "OwnCost",
    "Transformer",
    "cost_of",
    "describe_flops",
    "flops_from",
    "flops_rate",
    "flops_to_plain",
]

_BACKWARD = 2.0  # times the forward pass
_NEWTON = 12
_MOST = 1e60  # of anything that a model has: products stay within the range of doubles
_MOST_PARAMETERS = 1e200
_CONVENTIONS = {"hoffmann": "total", "kaplan": "non-embedding", "deepseek": "non-embedding"}
"""Conventions of counting FLOPs, and what their authors count as N."""


class Cost(Protocol):
    """FLOPs per token, by size: arrays in, arrays of the same shape out."""

    def forward_at(self, N: F64) -> F64:
        """To serve one token."""
        ...

    def training_at(self, N: F64) -> F64:
        """To train on one token."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """A dense decoder whose compute is counted from its architecture.

    Parameters
    ----------
    layers : float, optional
        Number of layers, whatever N; the width follows from N.
    aspect : float, optional
        Width over number of layers, whatever N; both follow from N. Give this or `layers`.
    vocab : float
        Tokens of the vocabulary.
    seq : float
        Tokens of a sequence.
    ffn : float
        Width of the feed-forward layer over the width of the model.
    gated : bool
        Whether the feed-forward layer has three matrices (SwiGLU and the like) instead of two.
    tied : bool
        Whether input and output embeddings are one matrix.
    kv : float
        Heads of keys and values over heads of queries: 1/8 where 64 heads share 8 of them (grouped-query attention).
    head_dim : float
        Width of an attention head; only the softmax depends on it.
    convention : {"hoffmann", "kaplan", "deepseek"}
        Which FLOPs are counted; the module `isoloss.plan.flops` gives the formulas.
    n_counts : {"total", "non-embedding"}, optional
        What N counts. By default what the authors of the convention count: the total for Hoffmann et al.

    Raises
    ------
    OptionError
        Code ``option``: neither or both of `layers` and `aspect`, a number that is not above zero, an unknown
        convention.

    References
    ----------
    Kaplan et al. 2020, arXiv:2001.08361, table 1; Hoffmann et al. 2022, arXiv:2203.15556, appendix F;
    Ainslie et al. 2023, arXiv:2305.13245 (grouped-query attention).

    Examples
    --------
    >>> import isoloss as iso
    >>> model = iso.Transformer(layers=80, vocab=32_000, seq=4096)
    >>> round(model.width("70B")), model.depth("70B")
    (8522, 80.0)
    >>> round(model.per_token("70B") / (6 * 70e9), 3)
    1.084
    >>> round(iso.Transformer(aspect=128, vocab=32_000, seq=4096).depth(1e9), 1)
    16.8
    """

    layers: float | None = None
    aspect: float | None = None
    vocab: float
    seq: float
    ffn: float = 4.0
    gated: bool = False
    tied: bool = True
    kv: float = 1.0
    head_dim: float = 128.0
    convention: str = "hoffmann"
    n_counts: str | None = None

    def __post_init__(self) -> None:
        if (self.layers is None) == (self.aspect is None):
            message = "a Transformer needs layers=, a number of layers, or aspect=, the width over it: one of the two"
            raise OptionError(message, argument="layers")
        for name in ("layers", "aspect", "seq", "ffn", "kv", "head_dim", "vocab"):
            value = getattr(self, name)
            if value is None and name in ("layers", "aspect"):
                continue
            number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
            least = 0.0 if name == "vocab" else 1.0 / _MOST
            if not (number and least <= parse_number(value, name) <= _MOST):
                message = f"{name}={value!r} is not a number above zero (and up to {_MOST:g})"
                raise OptionError(message, argument=name)
        if str(self.convention) not in _CONVENTIONS:
            near = did_you_mean(self.convention, _CONVENTIONS)
            message = f"convention={self.convention!r} is none of {', '.join(_CONVENTIONS)}{near}"
            raise OptionError(message, argument="convention")
        if self.n_counts not in (None, "total", "non-embedding"):
            message = f"n_counts={self.n_counts!r} is neither 'total' nor 'non-embedding'"
            raise OptionError(message, argument="n_counts")

    @property
    def counts(self) -> str:
        """What N counts: as given, else what the convention's authors count."""
        return _CONVENTIONS[self.convention] if self.n_counts is None else self.n_counts

    def width(self, N: ArrayLike | str) -> Any:
        """Width d of the model of N parameters; a float for a scalar, else an array."""
        return _shaped(self._width(_sizes(N)), N)

    def depth(self, N: ArrayLike | str) -> Any:
        """Number of layers of the model of N parameters."""
        return _shaped(self._depth(self._width(_sizes(N))), N)

    def per_token(self, N: ArrayLike | str) -> Any:
        """FLOPs to train the model of N parameters on one token."""
        return _shaped(self.training_at(_sizes(N)), N)

    def __call__(self, N: ArrayLike | str, D: ArrayLike | str) -> Any:
        """FLOPs to train the model of N parameters on D tokens."""
        return self.per_token(N) * (real_numbers("D", D) if np.ndim(D) else float(real_numbers("D", D)))

    def training_at(self, N: F64) -> F64:
        """(...) FLOPs to train on one token, by sizes (...)."""
        with np.errstate(over="ignore"):
            return np.asarray((1.0 + _BACKWARD) * self.forward_at(N))

    def forward_at(self, N: F64) -> F64:
        """(...) FLOPs of the forward pass for one token, by sizes (...)."""
        d = self._width(N)
        L = self._depth(d)
        with np.errstate(over="ignore"):  # infinite beyond the range of doubles
            flops = 2.0 * L * self._block * d * d
            flops = flops + (2.0 if self.convention == "kaplan" else 4.0) * L * self.seq * d
            if self.convention == "hoffmann":
                flops = flops + 3.0 * L * self.seq * d / self.head_dim + 4.0 * self.vocab * d
            return np.asarray(flops)

    @property
    def _block(self) -> float:
        """Parameters of a layer over the square of the width."""
        return 2.0 + 2.0 * self.kv + (3.0 if self.gated else 2.0) * self.ffn

    def _depth(self, d: F64) -> F64:
        return np.full_like(d, self.layers) if self.layers is not None else d / float(self.aspect or 1.0)

    def _width(self, N: F64) -> F64:
        """The root d of N = L block d^2 + embedding d, or of N = block d^3 / aspect + embedding d."""
        embedding = 0.0
        if self.counts == "total":
            embedding = float(self.vocab) if self.tied else 2.0 * float(self.vocab)
        if self.layers is not None:
            square = float(self.layers) * self._block
            # Written so that nothing cancels where the embedding is most of N.
            return np.asarray(2.0 * N / (embedding + np.sqrt(embedding * embedding + 4.0 * square * N)))
        cube = self._block / float(self.aspect or 1.0)
        d = np.cbrt(N / cube)
        if embedding == 0.0:
            return np.asarray(d)
        # Newton from above, where the cubic is convex: it comes down to the root without passing it.
        d = np.minimum(d, N / embedding)
        for _ in range(_NEWTON):
            d = d - (cube * d * d * d + embedding * d - N) / (3.0 * cube * d * d + embedding)
        return np.asarray(d)


@dataclass(frozen=True, slots=True)
class OwnCost:
    """Training FLOPs per token by a function of N that a user gives."""

    function: Callable[[F64], Any]

    def training_at(self, N: F64) -> F64:
        """As the function says, checked to be FLOPs."""
        found = real_numbers("flops", self.function(N))
        if found.shape != N.shape:
            message = f"flops= gives an array of shape {found.shape} for sizes of shape {N.shape}"
            raise OptionError(message, argument="flops")
        bad = ~(np.isfinite(found) & (found > 0.0))
        if bad.any():
            at = int(np.argmax(bad.ravel()))
            message = f"flops= gives {found.ravel()[at]:g} FLOPs per token for N = {N.ravel()[at]:.4g}"
            raise OptionError(message, argument="flops")
        return found

    def forward_at(self, N: F64) -> F64:
        """A third of the training."""
        return self.training_at(N) / (1.0 + _BACKWARD)


Flops = str | float | Transformer | Callable[[F64], Any]
"""How compute is counted: ``"6ND"``, FLOPs per parameter and token, a `Transformer`, or FLOPs per token by N."""


def cost_of(flops: Flops, n_counts: str = "") -> tuple[float, Cost | None]:
    """FLOPs per parameter and token, and the cost by size where it is no multiple of N.

    Parameters
    ----------
    flops : "6ND", number, Transformer or callable
    n_counts : str
        What N counts in the runs, where that is known.

    Raises
    ------
    OptionError
        Code ``option``: none of these, or a Transformer that counts N otherwise than the runs.
    """
    if isinstance(flops, Transformer):
        if n_counts and n_counts != flops.counts:
            message = (
                f"the runs count {n_counts} parameters as N and the Transformer {flops.counts} ones: "
                "say n_counts= for the Transformer, or another N for the runs"
            )
            raise OptionError(message, argument="flops")
        return FLOPS_PER_PARAMETER_TOKEN, flops
    if callable(flops) and not isinstance(flops, type):
        return FLOPS_PER_PARAMETER_TOKEN, OwnCost(flops)
    return flops_rate(flops, ", nor an isoloss.Transformer, nor a function of N that gives FLOPs per token"), None


def flops_to_plain(flops: Flops) -> float | dict[str, Any]:
    """Plain data of how compute is counted, ready for JSON.

    Raises
    ------
    OptionError
        Code ``option``: a function of a user, which no file can hold.
    """
    if isinstance(flops, Transformer):
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in asdict(flops).items()}
    if callable(flops):
        message = f"flops={_called(flops)} is a function, which no file can hold: count by a Transformer or a number"
        raise OptionError(message, argument="flops")
    return flops_rate(flops)


def flops_from(data: float | Mapping[str, Any]) -> Flops:
    """Inverse of `flops_to_plain`."""
    return Transformer(**data) if isinstance(data, Mapping) else flops_rate(data)


def describe_flops(flops: Flops) -> str:
    """How compute is counted, in a few words; empty for 6ND.

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss.plan.flops import describe_flops
    >>> describe_flops("6ND"), describe_flops(8)
    ('', '8 FLOPs per parameter and token')
    >>> describe_flops(iso.Transformer(layers=80, vocab=32_000, seq=4096))
    'FLOPs of a transformer of 80 layers'
    """
    if isinstance(flops, Transformer):
        shape = f"{flops.layers:g} layers" if flops.layers is not None else f"width {flops.aspect:g} times its layers"
        return f"FLOPs of a transformer of {shape}"
    if callable(flops):
        return f"FLOPs by {_called(flops)}"
    rate = flops_rate(flops)
    return "" if rate == FLOPS_PER_PARAMETER_TOKEN else f"{rate:g} FLOPs per parameter and token"


def _called(function: Callable[..., Any]) -> str:
    """The name of a function; an object that is called has that of its class."""
    return str(getattr(function, "__name__", type(function).__name__))


def flops_rate(flops: Any, nor: str = "") -> float:
    """FLOPs per parameter and token, from a number or ``"6ND"``; `nor` tells what else would have done."""
    if isinstance(flops, str) and flops == "6ND":
        return FLOPS_PER_PARAMETER_TOKEN
    number = isinstance(flops, (int, float)) and not isinstance(flops, bool)
    if number and 0.0 < flops <= sys.float_info.max:
        return float(flops)
    message = f"flops={flops!r} is neither '6ND' nor a number of FLOPs per parameter and token{nor}"
    raise OptionError(message, argument="flops")


def _sizes(N: ArrayLike | str) -> F64:
    sizes = real_numbers("N", N)
    if not np.all((sizes > 0.0) & (sizes <= _MOST_PARAMETERS)):
        message = f"N={N!r:.200} is not a number of parameters above zero (and up to {_MOST_PARAMETERS:g})"
        raise DataError(message, code="data-nonpositive", column="N")
    return sizes


def _shaped(values: F64, given: ArrayLike | str) -> Any:
    return values if np.ndim(given) else float(values)
