"""Results as batches, and derivatives in blocks."""

import dataclasses

import numpy as np
import pytest

import isoloss as iso
from isoloss.engine import problem
from isoloss.engine.problem import Solved
from isoloss.stats.inference import KINDS, covariance


def solved(*values):
    rows = len(values)
    value = np.array(values)
    return Solved(
        params=np.stack([value, -value], axis=1),
        value=value,
        status=np.arange(rows, dtype=np.uint8),
        iterations=np.full(rows, 7, dtype=np.uint32),
        at_bound=np.zeros((rows, 2), dtype=np.int8),
    )


def same(a, b):
    fields = [field.name for field in dataclasses.fields(Solved)]
    for name in fields:
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("rows", [[2], [1, 0], []])
def test_rows_of_a_result_are_taken_and_put_back(rows):
    whole = solved(3.0, 1.0, 2.0)
    some = whole.take(np.array(rows, dtype=np.intp))
    assert some.value.tolist() == [[3.0, 1.0, 2.0][row] for row in rows]
    assert some.params.tolist() == [[value, -value] for value in some.value]
    same(whole.put(rows, some), whole)
    changed = whole.put(rows, solved(*(9.0 for _ in rows)))
    assert (changed.value == 9.0).sum() == len(rows)
    assert whole.value.tolist() == [3.0, 1.0, 2.0]  # a copy


def test_parts_in_a_row_are_the_whole():
    whole = solved(3.0, 1.0, 2.0)
    parts = [whole.take([0]), whole.take([1, 2])]
    same(Solved.concat(parts), whole)
    same(Solved.concat(parts[:1]), parts[0])


def test_derivatives_come_in_blocks_and_sum_to_the_same_covariance(monkeypatch):
    table = iso.simulate.sweep(settings=1, seed=0)
    fit = iso.fit("chinchilla", table)
    own, at = fit.problem, fit.vector
    rows = np.arange(1, own.target.shape[-1], 2)
    (whole,) = own.derivatives(at, rows)
    np.testing.assert_array_equal(whole.value, own.predict(at)[0, rows])
    np.testing.assert_array_equal(whole.value, own.predict(at, rows)[0])
    groups = np.arange(own.target.shape[-1]) // 3
    inside = np.zeros(len(fit.names), dtype=np.int8)
    asked = [(kind, by) for kind in KINDS for by in (None, groups)]
    before = [covariance(own, at, inside, by, kind=kind).cov for kind, by in asked]
    monkeypatch.setattr(problem, "_BLOCK", 7)
    blocks = list(own.derivatives(at, rows))
    assert len(blocks) == -(-len(rows) // 7) > 2
    for name in ("value", "gradient", "hessian"):
        np.testing.assert_array_equal(np.concatenate([getattr(b, name) for b in blocks]), getattr(whole, name))
    for block in blocks:
        np.testing.assert_array_equal(rows[block.place], block.rows)
    for (kind, by), known in zip(asked, before, strict=True):
        np.testing.assert_allclose(covariance(own, at, inside, by, kind=kind).cov, known, rtol=1e-6)
