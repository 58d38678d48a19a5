"""Arrays in every layout NumPy has: each public entry gives the bits of the plain array, or refuses by name.

What the compiled core reads is memory. An array that is transposed, strided, unaligned, in the other byte order or
read-only is the same numbers elsewhere, and must give the same answer; a dtype that holds no real numbers is refused
with the name of the argument.
"""

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import isoloss as iso
from isoloss import _core
from isoloss.errors import IsolossError
from isoloss.inner import Inner

LAW = iso.law("E + A / N**alpha + B / D**beta", positive=["E", "A", "B"], bounds={"alpha": (0, 2), "beta": (0, 2)})
N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(2e9, 2e11, 4)))
LOSS = LAW(N=N, D=D, E=1.8, A=480.0, alpha=0.35, B=2100.0, beta=0.37) * np.exp(0.003 * np.sin(np.arange(20.0)))


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def strided(array):
    wide = np.full((*array.shape[:-1], 3 * array.shape[-1]), -7, dtype=array.dtype)
    wide[..., ::3] = array
    return wide[..., ::3]


def backwards(array):
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


def fortran(array):
    return np.asfortranarray(array)


def misaligned(array):
    store = np.zeros(array.nbytes + 1, dtype=np.uint8)
    view = store[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def packed_field(array):
    """A column of packed records: its stride is no multiple of its size."""
    records = np.zeros(array.shape, dtype=[("step", "<i4"), ("x", array.dtype)])
    records["x"] = array
    return records["x"]


def byte_swapped(array):
    return array.astype(array.dtype.newbyteorder())


def memory_mapped(array):
    with tempfile.TemporaryFile() as file:
        file.write(array.tobytes())
        file.flush()
        return np.memmap(file, dtype=array.dtype, mode="r", shape=array.shape)


LAYOUTS = [read_only, strided, backwards, fortran, misaligned, packed_field, byte_swapped, memory_mapped]


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.__name__)
def layout(request) -> Callable[[Any], Any]:
    return request.param


def same(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b), strict=True)


def test_the_layouts_are_what_they_say():
    matrix = np.arange(6.0).reshape(2, 3)
    assert not read_only(matrix).flags.writeable
    assert not strided(matrix).flags.c_contiguous
    assert backwards(matrix).strides[1] < 0
    assert not fortran(matrix).flags.c_contiguous
    assert not misaligned(matrix).flags.aligned
    assert misaligned(matrix).flags.c_contiguous
    assert packed_field(matrix).strides[1] % 8 != 0
    assert not byte_swapped(matrix).dtype.isnative
    for make in LAYOUTS:
        same(make(matrix).astype(np.float64), matrix)


# The public entries -------------------------------------------------------------------------------------------


def test_read_and_fit(layout):
    plain = {"N": N, "D": D, "loss": LOSS, "w": np.linspace(1.0, 2.0, 20), "group": np.arange(20) // 4}
    moved = {name: layout(np.asarray(column)) for name, column in plain.items()}
    ours, theirs = (iso.read(columns, weights="w", group="group") for columns in (plain, moved))
    for name in ("N", "D", "loss"):
        same(ours.columns[name], theirs.columns[name])
    same(iso.fit(LAW, ours).vector, iso.fit(LAW, theirs).vector)


def test_weights_and_starts_of_a_fit(layout):
    weights = np.linspace(0.5, 1.5, 20)
    starts = np.array([[1.5, 300.0, 0.3, 1000.0, 0.3], [2.0, 600.0, 0.4, 3000.0, 0.4]])
    runs = iso.read({"N": N, "D": D, "loss": LOSS})
    ours = iso.fit(LAW, runs, weights=weights, starts=starts)
    theirs = iso.fit(LAW, runs, weights=layout(weights), starts=layout(starts))
    same(ours.vector, theirs.vector)
    assert ours.value == theirs.value


def test_fit_many(layout):
    targets = LOSS * np.array([[1.0], [1.01], [0.99]])
    weights = np.linspace(0.5, 1.5, 60).reshape(3, 20)
    starts = np.array([1.5, 300.0, 0.3, 1000.0, 0.3]) * np.linspace(0.8, 1.2, 6).reshape(3, 2, 1)
    ours = iso.fit_many(LAW, {"N": N, "D": D}, targets, weights=weights, starts=starts)
    theirs = iso.fit_many(
        LAW, {"N": layout(N), "D": layout(D)}, layout(targets), weights=layout(weights), starts=layout(starts)
    )
    for field in ("params", "value", "status", "iterations"):
        same(getattr(ours, field), getattr(theirs, field))


def test_fit_many_of_panels(layout):
    x, y = np.tile(N, 2), np.concatenate([LOSS, 1.01 * LOSS])
    d = np.tile(D, 2)
    offsets, groups = np.array([0, 20, 40]), np.repeat([3, 7], 20)
    ours = iso.fit_many(LAW, {"N": x, "D": d}, y, offsets=offsets)
    for split in ({"offsets": layout(offsets)}, {"groups": layout(groups)}):
        theirs = iso.fit_many(LAW, {"N": layout(x), "D": layout(d)}, layout(y), **split)
        same(ours.params, theirs.params)


def test_laws_and_predictions(layout):
    params = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37}
    square = N.reshape(4, 5), D.reshape(4, 5)
    same(LAW(N=square[0], D=square[1], **params), LAW(N=layout(square[0]), D=layout(square[1]), **params))
    fit = iso.fit(LAW, iso.read({"N": N, "D": D, "loss": LOSS}))
    same(fit.predict(N=N, D=D), fit.predict(N=layout(N), D=layout(D)))


def test_search(layout):
    target = iso.laws.get("chinchilla").bind("besiroglu2024")
    n, d = np.geomspace(1e8, 1e11, 31), np.geomspace(1e9, 1e12, 41)
    table = {"lr": np.linspace(1e-4, 1e-3, 9), "batch": np.arange(1.0, 10.0)}
    options = {"where": "6*N*D <= 1e22", "within": "1%", "by": "pair"}
    ours = iso.search(target, {"N": n, "D": d, "pair": table}, **options)
    moved = {name: layout(column) for name, column in table.items()}
    theirs = iso.search(target, {"N": layout(n), "D": layout(d), "pair": moved}, **options)
    same(ours.best, theirs.best)
    assert str(ours) == str(theirs)


def test_tables_of_laws_and_inner_tables_of_rows(layout):
    nodes, weights = np.linspace(0.0, 1.0, 7), np.linspace(0.1, 0.2, 7)
    ours, theirs = (
        iso.law("E + sum_over(t, t.w * exp(-t.x * S))", vars=["S"], tables={"t": {"x": x, "w": w}})
        for x, w in ((nodes, weights), (layout(nodes), layout(weights)))
    )
    same(ours(S=N / 1e9, E=1.0), theirs(S=N / 1e9, E=1.0))
    first, last = np.arange(5), np.arange(5) + 3
    law = iso.law("E + sum_over(k, k.w * exp(-k.x * S))", vars=["S"])
    rows = Inner({"x": nodes, "w": weights}, first=first, last=last)
    moved = Inner({"x": layout(nodes), "w": layout(weights)}, first=layout(first), last=layout(last))
    same(law(S=N[:5] / 1e9, k=rows, E=1.0), law(S=N[:5] / 1e9, k=moved, E=1.0))


def test_the_arrays_of_the_caller_are_left_as_they_were(layout):
    targets, starts = layout(LOSS), layout(np.array([1.5, 300.0, 0.3, 1000.0, 0.3]))
    kept = np.array(targets), np.array(starts)
    iso.fit_many(LAW, {"N": N, "D": D}, targets, starts=starts)
    same(np.array(targets), kept[0])
    same(np.array(starts), kept[1])


# What holds no real numbers -----------------------------------------------------------------------------------

NO_NUMBERS = {
    "complex": LOSS + 1j,
    "records": np.zeros(20, dtype=[("a", "f8"), ("b", "f8")]),
    "dates": np.arange(20).astype("datetime64[D]"),
    "objects": np.array([object()] * 20),
    "text": np.array(["loss"] * 20),
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("where", ["N", "targets", "weights", "starts"])
def test_fit_many_refuses_by_name(kind, where):
    bad = NO_NUMBERS[kind]
    given = {"N": N, "targets": LOSS, "weights": np.ones(20), "starts": np.ones(5)} | {where: bad}
    with pytest.raises(IsolossError, match=where) as caught:
        iso.fit_many(LAW, {"N": given["N"], "D": D}, given["targets"], weights=given["weights"], starts=given["starts"])
    assert caught.value.code


@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_the_other_entries_refuse_by_name(kind):
    bad = NO_NUMBERS[kind]
    runs = iso.read({"N": N, "D": D, "loss": LOSS})
    with pytest.raises(IsolossError, match="loss"):
        iso.read({"N": N, "D": D, "loss": bad})
    with pytest.raises(IsolossError, match="weights"):
        iso.fit(LAW, runs, weights=bad)
    with pytest.raises(IsolossError, match="starts"):
        iso.fit(LAW, runs, starts=bad)
    with pytest.raises(IsolossError, match="D"):
        iso.search(iso.laws.get("chinchilla").bind("besiroglu2024"), {"N": N[:5], "D": bad})


# The compiled core itself, without the layer that arranges arrays for it --------------------------------------


@pytest.mark.parametrize("layout", [m for m in LAYOUTS if m is not byte_swapped])
def test_the_core_reads_any_layout_in_c_order(layout):
    expression = _core.Expression("E + A / N**alpha", variables=["N"])
    parameters = np.array([[1.8, 400.0, 0.34], [1.9, 300.0, 0.3]])
    expected = expression.evaluate([N], parameters)
    same(expression.evaluate([layout(N)], layout(parameters)), expected)
    for ours, theirs in zip(
        expression.derivatives([N], parameters[0]),
        expression.derivatives([layout(N)], layout(parameters[0])),
        strict=True,
    ):
        same(ours, theirs)
    clusters = np.arange(20) // 5
    same(_core.resample_counts(7, 3, layout(clusters), 4), _core.resample_counts(7, 3, clusters, 4))


def test_the_core_refuses_the_other_byte_order_and_other_types():
    expression = _core.Expression("E + A / N**alpha", variables=["N"])
    for wrong in (byte_swapped(N), N.astype(np.float32), N.tolist()):
        with pytest.raises(TypeError):
            expression.evaluate([wrong], np.ones(3))
