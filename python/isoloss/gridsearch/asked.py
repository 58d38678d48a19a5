"""What a search was asked, in the words of the engine: all that is needed to ask again. Private; see `isoloss.search`.

Laws, fits and draws have become texts and numbers here, so that a saved search depends on nothing outside of its file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.gridsearch.grids import Axis
from isoloss.gridsearch.names import Definition
from isoloss.law.build import free_names

__all__ = ["Asked"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Asked:
    """A search, resolved.

    Attributes
    ----------
    axes : tuple of Axis
    by : tuple of int
        Axes that are groups.
    definitions : tuple of (name, text, constants, aliases)
        Named expressions, each over columns and those before it.
    minimize, condition, second : str or None
        What is made least, where a cell counts, and the other value of a front.
    within : float or None
    top : int
    shape, refine, visit : bool
    drawn : tuple of definitions, or None
        The definitions with the drawn parameters as columns.
    draws : mapping of str to (m,) float64
        Those columns.
    """

    axes: tuple[Axis, ...]
    by: tuple[int, ...]
    definitions: tuple[Definition, ...]
    minimize: str
    condition: str | None
    second: str | None
    within: float | None
    top: int
    shape: bool
    refine: bool
    visit: bool
    drawn: tuple[Definition, ...] | None
    draws: Mapping[str, F64]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the groups' axes."""
        return tuple(self.axes[k].name for k in self.by)

    @property
    def free(self) -> list[Axis]:
        """The axes that are no groups."""
        return [axis for k, axis in enumerate(self.axes) if k not in self.by]

    def unused(self) -> list[Axis]:
        """Axes of several values that no expression of the search depends on."""
        texts = [text for text in (self.minimize, self.second, self.condition) if text is not None]
        named = {name for text in texts for name in free_names(text)}
        # Each definition knows those before it.
        for name, text, constants, aliases in reversed(self.definitions):
            if name in named:
                named |= {aliases.get(free, free) for free in free_names(text) if free not in constants}
        return [axis for axis in self.axes if len(axis) > 1 and not named & set(axis.columns)]

    def to_dict(self) -> dict[str, Any]:
        """As mappings, lists, texts, numbers and arrays."""
        return {
            "axes": [
                {"name": axis.name, "columns": dict(axis.columns), "labels": dict(axis.labels), "unit": axis.unit}
                for axis in self.axes
            ],
            "by": list(self.by),
            "definitions": [list(definition) for definition in self.definitions],
            "minimize": self.minimize,
            "condition": self.condition,
            "second": self.second,
            "within": self.within,
            "top": self.top,
            "shape": self.shape,
            "refine": self.refine,
            "visit": self.visit,
            "drawn": None if self.drawn is None else [list(definition) for definition in self.drawn],
            "draws": dict(self.draws),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Asked:
        """The inverse of `to_dict`, with arrays where arrays were."""
        axes = tuple(
            Axis(
                name=str(axis["name"]),
                columns=_arrays(axis["columns"]),
                labels=_arrays(axis["labels"]),
                unit=str(axis["unit"]),
            )
            for axis in data["axes"]
        )
        drawn = data["drawn"]
        return cls(
            axes=axes,
            by=tuple(int(k) for k in data["by"]),
            definitions=_definitions(data["definitions"]),
            drawn=None if drawn is None else _definitions(drawn),
            draws=_arrays(data["draws"]),
            minimize=str(data["minimize"]),
            condition=data["condition"],
            second=data["second"],
            within=data["within"],
            top=int(data["top"]),
            shape=bool(data["shape"]),
            refine=bool(data["refine"]),
            visit=bool(data["visit"]),
        )


def _arrays(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {str(name): values for name, values in columns.items()}


def _definitions(given: Any) -> tuple[Definition, ...]:
    return tuple((str(name), str(text), dict(constants), dict(aliases)) for name, text, constants, aliases in given)
