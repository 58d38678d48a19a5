"""Values of runs that are likely in another unit than was said: batches in sequences, models in millions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isoloss.errors import Notice
from isoloss.units import format_number

if TYPE_CHECKING:
    from isoloss.runs.object import Runs

__all__ = ["unit_doubts"]

_FEW_TOKENS, _HIGH_LR, _FEW_PARAMETERS = 8_192, 1.0, 1e4


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
    if "N" in runs and float(runs["N"].max()) < _FEW_PARAMETERS:
        message = (
            f"the largest model has {format_number(float(runs['N'].max()))} parameters: is N in millions or billions?"
        )
        found.append(Notice(code="unit-doubtful", severity="serious", message=message, details={"role": "N"}))
    return found
