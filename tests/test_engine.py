"""What the engine's results can do as batches."""

import dataclasses

import numpy as np
import pytest

from isoloss.engine.problem import Solved


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
