r"""Published laws of learning rate and batch size, out of the registry, as calculators of both.

A law counts when it predicts a learning rate or a batch from N, D, C or the loss alone and has published coefficients.
Laws of one paper go by its short name in `isoloss.laws.ALIASES`: ``steplaw_lr`` and ``steplaw_batch`` are *steplaw*.
Batches in sequences are turned into tokens by the length that the law's unit states. C is taken as 6 N D, although
DeepSeek's counts the FLOPs of attention too and leaves the vocabulary out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoloss import laws
from isoloss.checks import level_between
from isoloss.errors import LawError, Notice, did_you_mean
from isoloss.hparams.predictions import HParams
from isoloss.law.object import Law
from isoloss.units import FLOPS_PER_PARAMETER_TOKEN

__all__ = ["PublishedHParams", "predict_published", "published", "published_named"]

_LEAST = 1e4  # parameters or tokens; fewer are billions written without their zeros
_INPUTS = frozenset({"N", "D", "C", "L"})
_LR, _BATCH = frozenset({"lr"}), frozenset({"batch", "B", "B_crit"})
_SEQUENCES = re.compile(r"sequences? of (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedHParams:
    """Learning rate and batch by the laws of one paper, under one published set of coefficients.

    Attributes
    ----------
    name : str
        Of the paper's laws, as ``"steplaw"``.
    key : str
        Of the published set.
    lr, batch : Law or None
        None where the paper has no such law.
    """

    name: str
    key: str
    lr: Law | None
    batch: Law | None

    @property
    def title(self) -> str:
        """Name and published set."""
        return f"{self.name}:{self.key}"

    @property
    def needs_loss(self) -> bool:
        """Whether a law asks for the loss that training ends at."""
        return any(law is not None and "L" in law.variables for law in (self.lr, self.batch))

    def at(self, N: Any, D: Any, L: Any = None) -> tuple[Any, Any]:
        """Learning rate and batch in tokens; NaN where the paper has no such law.

        Raises
        ------
        LawError
            Code ``law-missing-name``: the law needs the loss `L`.
        """
        values = {"N": N, "D": D, "C": FLOPS_PER_PARAMETER_TOKEN * np.asarray(N) * np.asarray(D), "L": L}
        found = []
        for law in (self.lr, self.batch):
            if law is None:
                found.append(np.full(np.broadcast(N, D).shape, np.nan)[()])
                continue
            if "L" in law.variables and L is None:
                message = f"{law.name!r} needs the loss that training ends at: give L=, or --loss on the command line"
                raise LawError(message, code="law-missing-name", names=["L"])
            said = law.bind(self.key)(**{name: values[name] for name in law.variables})
            found.append(said * _tokens(law) if law is self.batch else said)
        return found[0], found[1]


def _tokens(law: Law) -> float:
    """Tokens in the unit of a batch law."""
    stated = _SEQUENCES.search(law.target_unit)
    return float(stated[1]) if stated else 1.0


def published() -> list[PublishedHParams]:
    """All laws of learning rate or batch in the registry, a row for each published set.

    Examples
    --------
    >>> all(row.lr is not None or row.batch is not None for row in published())
    True
    """
    found: dict[tuple[str, str], dict[str, Law]] = {}
    for name in laws.names():
        law = laws.get(name)
        role = "lr" if law.target in _LR else "batch" if law.target in _BATCH else ""
        if not role or not {*law.variables} <= _INPUTS:
            continue
        for key in law.published:
            found.setdefault((_paper(name), key), {})[role] = law
    return [
        PublishedHParams(name=name, key=key, lr=pair.get("lr"), batch=pair.get("batch"))
        for (name, key), pair in found.items()
    ]


def _paper(name: str) -> str:
    """The short name that a law goes by, else the first part of its own."""
    return next((alias for alias, laws_ in laws.ALIASES.items() if name in laws_), name.rpartition("_")[0] or name)


def published_named(name: str) -> PublishedHParams:
    """One published law by the paper's name, or ``name:key`` for one of its sets; the first set by default.

    Raises
    ------
    LawError
        Code ``law-unknown``.
    """
    known = published()
    for row in known:
        if name in (row.name, row.title):
            return row
    names = list(dict.fromkeys([row.name for row in known] + [row.title for row in known]))
    near = did_you_mean(name, names)
    message = f"no published law of learning rate or batch is named {name!r}{near}; known: {', '.join(names)}"
    raise LawError(message, code="law-unknown", name=name)


def predict_published(
    name: str, *, N: float, D: float, L: float | None = None, level: float = 0.95, seq_len: float | None = None
) -> HParams:
    """Learning rate and batch by a published law, without any runs.

    Parameters
    ----------
    name : str
        ``"steplaw"``, ``"deepseek"``, ``"porian"``, ...; ``name:key`` chooses a published set.
    N, D : float
    L : float, optional
        Loss that training ends at, for laws that need it.
    level : float
        Kept for the record: published coefficients carry no draws.
    seq_len : float, optional
        Tokens of a sequence, to give the batch in sequences as well.

    Returns
    -------
    HParams
        Without intervals.

    Raises
    ------
    LawError
        ``law-unknown``, ``law-missing-name``.

    Examples
    --------
    >>> from isoloss.hparams import predict_published
    >>> print(predict_published("porian", N=1e9, D=20e9))
    lr 2.13e-3   batch 1.61M tok
    """
    level = level_between(level)
    law = published_named(name)
    lr, batch = law.at(N, D, L)
    none: tuple[float, float] = (float("nan"), float("nan"))
    return HParams(
        N=N,
        D=D,
        lr=float(lr),
        batch=float(batch),
        lr_interval=none,
        batch_interval=none,
        level=level,
        draws=0,
        recipe=law.title,
        seq_len=seq_len,
        warnings=_doubts(N, D),
    )


def _doubts(N: float, D: float) -> tuple[Notice, ...]:
    """A notice where N or D look like billions written without their zeros."""
    small = [name for name, value in (("N", N), ("D", D)) if np.min(value) < _LEAST]
    if not small:
        return ()
    message = f"{' and '.join(small)} below {_LEAST:,.0f}: are these billions? Write 7B or 7e9 for 7 billion"
    return (Notice(code="unit-doubtful", severity="serious", message=message, details={"columns": small}),)
