"""A scaling law as an object: text, variables, parameters with their bounds, recipe, source, published sets.

A law is text such as ``E + A / N**alpha + B / D**beta``. The compiled core parses it once and derives it exactly; this
module says which names are columns of data, which are constants and which are parameters to fit, and carries what
the literature knows about the law. No text is ever evaluated as Python.

A pivot is a constant computed from the data at fit time: with ``pivots={"N0": "geomean"}`` the name ``N0`` stands for
the geometric mean of the variable ``N``, which makes amplitudes and exponents nearly independent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.errors import LawError, did_you_mean
from isoloss.inner import Table, ground
from isoloss.law.build import Starts, build, checked_variables, pivot_value, resolved_bounds
from isoloss.law.card import PLAIN_FIELDS, card, plain_law
from isoloss.law.parts import Bound, Parameter, Published, Recipe, Source, frozen
from isoloss.law.view import View
from isoloss.objective import Objective
from isoloss.units import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from isoloss import _core

__all__ = ["BoundLaw", "Law", "Parameter", "Published", "Recipe", "Source", "law"]

F64 = NDArray[np.float64]
Value = float | str | ArrayLike


@dataclass(frozen=True, repr=False)
class Law(View):
    """A law; make one with `isoloss.law` or take one from `isoloss.laws`.

    Attributes
    ----------
    name : str
    expr : str
        Text of the expression.
    target : str
        What the law gives, ``"L"`` if a loss. Whatever it is, runs to fit hold it under the role ``loss``.
    target_unit : str
        Its unit.
    variables : tuple of str
        Names that are columns of data.
    parameters : mapping of str to Parameter
        In the order of columns everywhere (first appearance in the text).
    constants : mapping of str to float
        Names with a fixed value.
    pivots : mapping of str to str
        Names computed from the data at fit time: ``"geomean"``, ``"median"``, ``"min"`` or ``"max"`` of the variable of
        that name without the trailing 0.
    starts : mapping, tuple of tuples or None
        Values by name (their product is the grid; names left out are found automatically), whole start points, or None
        for the automatic rule.
    recipe : Recipe
        The authors' way to fit it.
    units : mapping of str to str
        Units of the variables.
    family, kind, status : str
        As in `isoloss.laws.table`.
    source : Source or None
    notes : tuple of str
    published : mapping of str to Published
    inner : mapping of str to tuple of str
        Inner tables that come with the data, and the columns of them that ``sum_over`` uses; see `isoloss.inner`.
    tables : mapping of str to Table
        Inner tables of the law itself, which every row sums whole.

    Examples
    --------
    >>> import isoloss as iso
    >>> mine = iso.law("E + A / N**alpha", positive=["E", "A"], bounds={"alpha": (0, 2)})
    >>> mine.variables, list(mine.parameters)
    (('N',), ['E', 'A', 'alpha'])
    >>> round(mine(N="1B", E=1.7, A=400.0, alpha=0.34), 4)
    2.0484
    """

    name: str
    expr: str
    variables: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    constants: Mapping[str, float] = field(default_factory=dict)
    pivots: Mapping[str, str] = field(default_factory=dict)
    starts: Starts = None
    recipe: Recipe = field(default_factory=Recipe)
    units: Mapping[str, str] = field(default_factory=dict)
    family: str = "user"
    kind: str = "law"
    status: str = "user"
    source: Source | None = None
    notes: tuple[str, ...] = ()
    published: Mapping[str, Published] = field(default_factory=dict)
    target: str = "L"
    target_unit: str = ""
    inner: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("parameters", "constants", "pivots", "units", "published", "tables"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    # Evaluation ------------------------------------------------------------------------------------------------

    def core(
        self, constants: Mapping[str, float] | None = None, inner: Mapping[str, Table] | None = None
    ) -> _core.Expression:
        """The compiled expression.

        Parameters
        ----------
        constants : mapping of str to float, optional
            Values of the pivots, as `resolve_constants` gives them.
        inner : mapping of str to Table, optional
            Points of the inner tables; without them the expression can be described but not evaluated.

        Returns
        -------
        _core.Expression
            Cached: the same text and constants are compiled once.

        Raises
        ------
        LawError
            Code ``law-missing-name``: a pivot has no value.
        """
        merged = {**self.constants, **(constants or {})}
        missing = [name for name in self.pivots if name not in merged]
        if missing:
            message = f"law {self.name!r}: pivot {missing[0]!r} has no value yet; it is computed when the law is fitted"
            raise LawError(message, code="law-missing-name", names=missing)
        return self._compiled(self.variables, merged, inner)

    def _compiled(
        self, names: tuple[str, ...], constants: Mapping[str, float], inner: Mapping[str, Table] | None = None
    ) -> _core.Expression:
        data = None if inner is None else tuple(sorted(inner.items()))
        return _compiled(self.expr, names, tuple(sorted(constants.items())), tuple(sorted(self.tables.items())), data)

    def bind(self, values: str | Mapping[str, float] | None = None, /, **named: float | str) -> BoundLaw:
        """Give every parameter a value.

        Parameters
        ----------
        values : str or mapping, optional
            The key of a published set, or values by name.
        **named
            Values by name, over `values`; pivots take theirs here too.

        Returns
        -------
        BoundLaw
            A function of the law's variables.

        Raises
        ------
        LawError
            Codes ``law-unknown-name``, ``law-missing-name``: names that the law does not have, or lacks.

        Examples
        --------
        >>> import isoloss as iso
        >>> known = iso.laws.get("chinchilla").bind("besiroglu2024")
        >>> round(known(N="70B", D="1.4T"), 4)
        1.9734
        """
        if isinstance(values, str):
            if values not in self.published:
                message = f"law {self.name!r} has no published set {values!r}{did_you_mean(values, self.published)}"
                raise LawError(message, code="law-unknown-name", name=values)
            values = self.published[values].params
        given = {name: parse_number(value, name) for name, value in {**(values or {}), **named}.items()}
        known = (*self.parameters, *self.pivots)
        for name in given:
            if name not in known:
                message = f"law {self.name!r} has no parameter {name!r}{did_you_mean(name, known)}"
                raise LawError(message, code="law-unknown-name", name=name)
        missing = [name for name in known if name not in given]
        if missing:
            message = f"law {self.name!r}: no value for {', '.join(missing)}"
            raise LawError(message, code="law-missing-name", names=missing)
        return BoundLaw(
            law=self,
            params={name: given[name] for name in self.parameters},
            constants={name: given[name] for name in self.pivots},
        )

    def __call__(self, **values: Any) -> Any:
        """Evaluate at variables and parameters given by name.

        Parameters
        ----------
        **values
            Every variable (numbers, texts such as ``"7B"``, or arrays that broadcast) and every parameter and pivot
            (numbers).

        Returns
        -------
        float or ndarray of float64
        """
        own = {*self.parameters, *self.pivots}
        bound = self.bind({name: value for name, value in values.items() if name in own})
        return bound(**{name: value for name, value in values.items() if name not in own})

    def explain(self) -> str:
        """What the engine computes when it fits the law, and how often.

        Returns
        -------
        str
            The law in the solver's coordinates, what runs once per data set, once per problem and for every point, and
            the sums that make gradient and curvature. Columns are taken as positive, residuals as they are.

        Examples
        --------
        >>> import isoloss as iso
        >>> print(iso.law("E + A / N**alpha", positive=["A"]).explain().splitlines()[3])
          E + exp(log(A') - alpha * (log(N) - mean(log(N))))
        """
        # Pivots are known once there are data; until then they are like columns.
        names = (*self.variables, *(name for name in self.pivots if name not in self.constants))
        expression = self._compiled(names, self.constants)
        return expression.explain(log_scale=[self.parameters[name].positive for name in expression.parameters])

    # What a fit needs ------------------------------------------------------------------------------------------

    def resolve_constants(self, columns: Mapping[str, F64]) -> dict[str, float]:
        """Constants and pivots as numbers, pivots from the given columns.

        Parameters
        ----------
        columns : mapping of str to (n,) ndarray
            At least the variables that have a pivot.

        Returns
        -------
        dict of str to float
        """
        return {
            **self.constants,
            **{name: pivot_value(name, rule, columns) for name, rule in self.pivots.items()},
        }

    def resolve_bounds(
        self,
        loss: F64 | None = None,
        overrides: Mapping[str, tuple[Bound | None, Bound | None]] | None = None,
    ) -> tuple[F64, F64]:
        """Lower and upper bounds as numbers, in the order of the parameters.

        Parameters
        ----------
        loss : (n,) ndarray, optional
            Needed where a bound is ``"min_loss"``.
        overrides : mapping, optional
            Bounds by name that replace the law's own.

        Returns
        -------
        lower, upper : (p,) ndarray of float64
            Infinite where open.

        Raises
        ------
        LawError
            Codes ``law-unknown-name``, ``law-bounds``.
        """
        return resolved_bounds(self.parameters, loss, overrides or {})

    # Display and storage ---------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"Law({self.name!r}, {self.expr!r}, variables={self.variables}, parameters={tuple(self.parameters)})"

    def card(self) -> str:
        """What `print` shows: everything known about the law."""
        return card(self)

    def latex(self) -> str:
        """The equation in LaTeX, without delimiters; notebooks show it typeset."""
        from isoloss.law.latex import typeset

        return typeset(f"{self.target} = {self.expr}")

    def __hash__(self) -> int:
        return hash((self.name, self.expr, self.variables))

    def __reduce__(self) -> tuple[Any, ...]:
        return Law.from_dict, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return plain_law(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Law:
        """Inverse of `to_dict`; the text is parsed and checked again.

        Raises
        ------
        LawError
            The text is malformed or its names do not match.
        """
        parameters = data["parameters"]
        made = law(
            data["expr"],
            vars=data["variables"],
            positive=[p["name"] for p in parameters if p["positive"]],
            bounds={p["name"]: tuple(p["bounds"]) for p in parameters},
            meanings={p["name"]: p["meaning"] for p in parameters},
            constants=data["constants"],
            pivots=data["pivots"],
            starts=data["starts"],
            units=data["units"],
            recipe=Recipe(Objective.from_dict(data["recipe"]["objective"]), data["recipe"]["notes"]),
            source=None if data["source"] is None else Source(**data["source"]),
            notes=data["notes"],
            published={key: Published(**value) for key, value in data["published"].items()},
            tables=data.get("tables"),
            **{name: data[name] for name in PLAIN_FIELDS},
        )
        names = [p["name"] for p in parameters]
        if names != list(made.parameters):
            message = f"law {made.name!r}: the text has parameters {list(made.parameters)}, the data list {names}"
            raise LawError(message, code="file-schema")
        return made


@dataclass(frozen=True, slots=True)
class BoundLaw:
    """A law whose parameters have values: a function of its variables.

    Examples
    --------
    >>> import isoloss as iso
    >>> bound = iso.law("E + A / N**alpha").bind(E=1.7, A=400.0, alpha=0.34)
    >>> bound(N=[1e8, 1e9]).round(3)
    array([2.462, 2.048])
    """

    law: Law
    params: Mapping[str, float]
    constants: Mapping[str, float] = field(default_factory=dict)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the law's variables."""
        return self.law.variables

    def __call__(self, **values: Value) -> Any:
        """Evaluate.

        Parameters
        ----------
        **values
            Every variable: a number, a text such as ``"7B"``, or an array; arrays broadcast. N, D and C complete
            each other by C = 6 N D. For an inner table an `isoloss.inner.Inner`.

        Returns
        -------
        float or ndarray of float64
            A float when all values are scalars, else the broadcast shape.

        Raises
        ------
        LawError
            Codes ``law-missing-name``, ``law-unknown-name``.
        DataError
            Codes ``data-nonfinite``, ``data-nonpositive``: a value that the variable cannot take.
        """
        expression, arrays = ground(self.law, self.constants, checked_variables(self.law, values))
        shape = np.broadcast_shapes(*(a.shape for a in arrays.values()))
        columns = [np.ascontiguousarray(np.broadcast_to(arrays[v], shape)).reshape(-1) for v in expression.variables]
        point = np.array([[self.params[name] for name in expression.parameters]], dtype=np.float64)
        result = expression.evaluate(columns, point)[0]
        return float(result[0]) if shape == () else result.reshape(shape)

    def __str__(self) -> str:
        values = ", ".join(f"{name}={value:.6g}" for name, value in {**self.params, **self.constants}.items())
        return f"{self.law.name}({', '.join(self.variables)}; {values})"

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundLaw, (self.law, dict(self.params), dict(self.constants))


@lru_cache(maxsize=512)
def _compiled(
    text: str,
    variables: tuple[str, ...],
    constants: tuple[tuple[str, float], ...],
    tables: tuple[tuple[str, Table], ...],
    inner: tuple[tuple[str, Table], ...] | None,
) -> _core.Expression:
    from isoloss import _core

    whole = {name: dict(table.columns) for name, table in tables}
    made = _core.Expression(text, variables=list(variables), constants=dict(constants), tables=whole)
    return made if inner is None else made.with_inner({name: dict(table.columns) for name, table in inner})


def law(
    text: str,
    *,
    vars: Sequence[str] | None = None,
    positive: Iterable[str] = (),
    bounds: Mapping[str, tuple[Bound | None, Bound | None]] | None = None,
    starts: Mapping[str, ArrayLike] | ArrayLike | None = None,
    pivots: Mapping[str, str | float] | None = None,
    constants: Mapping[str, float] | None = None,
    name: str | None = None,
    units: Mapping[str, str] | None = None,
    meanings: Mapping[str, str] | None = None,
    objective: Objective | str | None = None,
    recipe: Recipe | None = None,
    family: str = "user",
    kind: str = "law",
    status: str = "user",
    source: Source | None = None,
    notes: Sequence[str] = (),
    published: Mapping[str, Published] | None = None,
    target: str = "L",
    target_unit: str = "",
    tables: Mapping[str, Mapping[str, ArrayLike]] | None = None,
) -> Law:
    """Make a law from its text.

    Parameters
    ----------
    text : str
        Expression in ``+ - * / **``, parentheses, numbers and functions such as ``exp`` and ``log`` (natural):
        see *The language of laws* in the documentation.
    vars : sequence of str, optional
        Names that are columns of data. By default the field's names that appear: N, D, C, lr, batch, S, U.
    positive : iterable of str
        Parameters above zero; they are solved in their logarithm.
    bounds : mapping of str to (low, high), optional
        Natural values; None is open, ``"min_loss"`` is the least fitted loss.
    starts : mapping or (s, p) array_like, optional
        Values by name (their product is the grid), or whole start points in the order of the parameters.
    pivots : mapping of str to str or float, optional
        ``{"N0": "geomean"}``: see the module documentation. A number makes it a constant.
    constants : mapping of str to float, optional
        Names with a fixed value.
    name : str, optional
        The text if left out.
    units, meanings : mapping of str to str, optional
        Units of the variables; what the parameters stand for.
    objective : Objective or str, optional
        The objective `isoloss.fit` uses by default; short for `recipe`.
    tables : mapping of str to mapping of str to (m,) array_like, optional
        Inner tables that every row sums whole, such as the nodes and weights of a quadrature.
    recipe, family, kind, status, source, notes, published, target, target_unit
        As in `Law`.

    Returns
    -------
    Law

    Raises
    ------
    LawError
        ``law-syntax`` with the position of the fault; ``law-unknown-name`` for a name in another argument that the
        text does not hold (with the nearest ones); ``law-no-variables``, ``law-bounds``, ``law-starts``, ``law-pivot``.

    Examples
    --------
    >>> import isoloss as iso
    >>> mine = iso.law(
    ...     "E + A * (N/N0)**-alpha",
    ...     positive=["E", "A"],
    ...     bounds={"alpha": (0, 2)},
    ...     pivots={"N0": "geomean"},
    ... )
    >>> print(mine.parameters["A"].domain, mine.parameters["alpha"].domain)
    > 0 [0, 2]
    """
    parts = build(
        text,
        variables=vars,
        positive=positive,
        bounds=bounds or {},
        starts=starts,
        pivots=pivots or {},
        constants=constants or {},
        meanings=meanings or {},
        units=units or {},
        objective=objective,
        recipe=recipe,
        published=published or {},
        tables=tables or {},
    )
    return Law(
        name=name or parts["expr"],
        family=family,
        kind=kind,
        status=status,
        source=source,
        notes=tuple(notes),
        target=target,
        target_unit=target_unit,
        **parts,
    )
