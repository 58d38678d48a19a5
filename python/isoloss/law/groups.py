"""One law for several groups of runs: some parameters shared, the others each group's own.

The text chooses by the group's column: ``where(corpus == 0, E_code + ..., E_web + ...)``. Each branch is the whole law,
so the engine pivots each group's amplitudes by themselves.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from isoloss.errors import LawError, OptionError, did_you_mean

if TYPE_CHECKING:
    from isoloss.law.build import Starts
    from isoloss.law.object import Law

__all__ = ["by_group", "suffix"]


def by_group(law: Law, column: str, groups: Sequence[str], *, share: Iterable[str] = ()) -> Law:
    """A law for runs of several groups: every parameter that is not shared, once for each group.

    Fits of data sets, optimisers or model families often share exponents and differ in offsets and amplitudes. Fitted
    as one law, the shared parameters are estimated from all runs, and intervals say how well.

    Parameters
    ----------
    law : Law
    column : str
        Name of a new variable that holds each run's group: 0 for the first of `groups`, 1 for the second, ...
    groups : sequence of str
        What the groups are called; two or more.
    share : iterable of str
        Parameters that all groups have in common. Parameters of the same kind can also be tied when the law is fitted,
        as in ``tie={"alpha_web": "alpha_code"}``.

    Returns
    -------
    Law
        With parameters such as ``E_web``; bounds, signs and starts are those of the law.

    Raises
    ------
    LawError
        Code ``law-unknown-name``: `share` names no parameter.
    OptionError
        Names of groups that are too few or alike, or a name that the law already has.

    Examples
    --------
    >>> import numpy as np
    >>> import isoloss as iso
    >>> corpus = np.repeat(["code", "web"], 12)
    >>> groups, codes = np.unique(corpus, return_inverse=True)
    >>> N = np.tile(np.geomspace(1e7, 1e10, 12), 2)
    >>> loss = np.where(corpus == "web", 1.9, 0.8) + np.where(corpus == "web", 420.0, 300.0) / N**0.34
    >>> one = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    >>> both = iso.by_group(one, "corpus", groups, share=["alpha"])
    >>> fit = iso.fit(both, {"N": N, "corpus": codes, "loss": loss}, objective="squared_log")
    >>> {name: round(value, 3) for name, value in fit.params.items()}
    {'E_code': 0.8, 'A_code': 300.0, 'alpha': 0.34, 'E_web': 1.9, 'A_web': 420.0}
    """
    labels = [str(group) for group in groups]
    suffixes = [suffix(label) for label in labels]
    if len(labels) < 2 or len(set(suffixes)) < len(suffixes) or "" in suffixes:
        message = f"groups={list(groups)!r} are not two or more names that differ in letters and digits"
        raise OptionError(message, argument="groups")
    shared = [share] if isinstance(share, str) else list(share)
    for name in shared:
        if name not in law.parameters:
            message = (
                f"share names {name!r}, which is no parameter of {law.name!r}{did_you_mean(name, law.parameters)}; "
                f"its parameters are {', '.join(law.parameters)}"
            )
            raise LawError(message, code="law-unknown-name", name=name, argument="share")
    own = [name for name in law.parameters if name not in shared]
    renamed = [{name: f"{name}_{suffix}" for name in own} for suffix in suffixes]
    made = {new for names in renamed for new in names.values()}
    taken = sorted(made & {*law.parameters, *law.variables, *law.constants, *law.pivots, column})
    if column in (*law.variables, *law.parameters, *law.constants, *law.pivots) or taken:
        clash = taken[0] if taken else column
        message = f"law {law.name!r} already has a name {clash!r}: call the groups or their column otherwise"
        raise OptionError(message, argument="column", name=clash)
    text = _renamed(law.expr, renamed[-1])
    for k in range(len(labels) - 2, -1, -1):
        text = f"where({column} == {k}, {_renamed(law.expr, renamed[k])}, {text})"
    parameters = {}
    for names, label in zip(renamed, labels, strict=True):
        # In the order of the text, which is that of every array of parameters.
        for name, parameter in law.parameters.items():
            meaning = f"{parameter.meaning} ({label})" if parameter.meaning else label
            parameters[names.get(name, name)] = (
                parameter if name in shared else replace(parameter, name=names[name], meaning=meaning)
            )
    return replace(
        law,
        name=f"{law.name} by {column}",
        expr=text,
        variables=(*law.variables, column),
        parameters=parameters,
        starts=_starts(law, own, renamed, list(parameters)),
        units={**law.units, column: "0, 1, ... for " + ", ".join(labels)},
        published={},
        notes=(*law.notes, f"{', '.join(shared) or 'nothing'} shared by {', '.join(labels)}"),
    )


def suffix(group: str) -> str:
    """What the parameters of a group end in, after an underscore.

    Examples
    --------
    >>> from isoloss.law.groups import suffix
    >>> suffix("web-2 (filtered)")
    'web_2_filtered'
    """
    return re.sub(r"\W+", "_", group).strip("_")


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """A text with its names replaced; what follows a dot is a column of an inner table."""
    return re.sub(r"(?<![\w.])[A-Za-z_]\w*", lambda word: names.get(word[0], word[0]), text)


def _starts(law: Law, own: Sequence[str], renamed: Sequence[Mapping[str, str]], order: Sequence[str]) -> Starts:
    """The law's starts, with every group at the same values; None where only some parameters have any."""
    names = list(law.parameters)
    if isinstance(law.starts, Mapping):
        if set(law.starts) != set(names):
            return None
        points = list(itertools.product(*(np.ravel(law.starts[name]).tolist() for name in names)))
    elif law.starts is None:
        return None
    else:
        points = [tuple(point) for point in law.starts]
    base = {new: old for group in renamed for old, new in group.items()} | {n: n for n in names if n not in own}
    return tuple(tuple(float(point[names.index(base[name])]) for name in order) for point in points)
