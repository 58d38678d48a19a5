"""Values of runs that are likely in another unit than was said: batches in sequences, counts in millions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isoloss.errors import Notice
from isoloss.units import format_number

if TYPE_CHECKING:
    from isoloss.runs.object import Runs

__all__ = ["unit_doubts"]

_FEW_TOKENS, _HIGH_LR, _FEW_PARAMETERS = 8_192, 1.0, 1e4
_FEW_TOKENS_SEEN = 1e6
_TOKENS_PER_PARAMETER = (0.5, 1e4)  # of the median run
_MOST_NATS, _MOST = 15.0, 0.9  # and the share of the runs below it


def unit_doubts(runs: Runs) -> list[Notice]:
    """Values that are likely in another unit.

    Parameters
    ----------
    runs : Runs

    Returns
    -------
    list of Notice
        Code ``unit-doubtful``, with the role in ``details``.

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss.runs.doubts import unit_doubts
    >>> runs = iso.read({"N": [70.0, 400.0], "D": [2e9, 8e9], "loss": [3.2, 2.8]})
    >>> [notice.details["role"] for notice in unit_doubts(runs)]
    ['N']
    """
    found = []
    if "batch" in runs and float(runs["batch"].max()) < _FEW_TOKENS:
        message = (
            f"the largest batch is {format_number(float(runs['batch'].max()))} tokens: these look like sequences; "
            "read them with batch_unit='sequences' and seq_len"
        )
        found.append(Notice(code="unit-doubtful", severity="serious", message=message, details={"role": "batch"}))
    if "batch" in runs and "D" in runs and np.any(runs["batch"] > runs["D"]):
        count = int((runs["batch"] > runs["D"]).sum())
        message = f"{count} runs have a batch of more tokens than they were trained on: check the units of batch and D"
        found.append(Notice(code="unit-doubtful", severity="serious", message=message, details={"role": "D"}))
    if "lr" in runs and float(runs["lr"].max()) > _HIGH_LR:
        message = f"the highest learning rate is {format_number(float(runs['lr'].max()))}: is it a multiple of 1e-4?"
        found.append(Notice(code="unit-doubtful", severity="warning", message=message, details={"role": "lr"}))
    few = "N" in runs and float(runs["N"].max()) < _FEW_PARAMETERS
    if few:
        message = (
            f"the largest model has {format_number(float(runs['N'].max()))} parameters: is N in millions or billions?"
        )
        found.append(Notice(code="unit-doubtful", severity="serious", message=message, details={"role": "N"}))
    short = "D" in runs and float(runs["D"].max()) < _FEW_TOKENS_SEEN
    if short:
        message = (
            f"the longest run saw {format_number(float(runs['D'].max()))} tokens: is D in millions or billions, or in "
            "steps?"
        )
        found.append(Notice(code="unit-doubtful", severity="serious", message=message, details={"role": "D"}))
    if "N" in runs and "D" in runs and not (few or short):
        found += _ratio(runs)
    if "loss" in runs:
        found += _nats(runs)
    return found


def _ratio(runs: Runs) -> list[Notice]:
    """Tokens per parameter that no sweep has."""
    low, high = _TOKENS_PER_PARAMETER
    ratio = float(np.exp(np.median(np.log(runs["D"]) - np.log(runs["N"]))))
    if low <= ratio <= high:
        return []
    cause = "are N and D swapped?" if low <= 1.0 / ratio <= high else "is one of N and D in another unit?"
    message = f"the median run has {format_number(ratio, 3)} tokens per parameter: {cause}"
    details = {"role": "D", "tokens_per_parameter": ratio}
    return [Notice(code="unit-doubtful", severity="serious", message=message, details=details)]


def _nats(runs: Runs) -> list[Notice]:
    """Losses above what a model that knows nothing has: ln of the vocabulary, about 12 nats."""
    # One run in ten may have diverged, to whatever it likes.
    high = float(np.quantile(runs["loss"], _MOST, method="lower"))
    if high <= _MOST_NATS:
        return []
    message = (
        f"losses reach {format_number(high)}, where guessing among 100,000 tokens costs 11.5 nats: is loss a "
        "perplexity, or in per cent?"
    )
    return [Notice(code="unit-doubtful", severity="serious", message=message, details={"role": "loss"})]
