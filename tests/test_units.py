"""Numbers as people write them, and C = 6ND."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoloss.errors import DataError
from isoloss.units import ROLES, complete_compute, format_number, format_range, format_si, parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7B", 7e9),
        ("1.4T", 1.4e12),
        ("1e24", 1e24),
        ("1_000", 1000.0),
        ("70m", 70e6),
        (" 2.5 K ", 2500.0),
        (".5k", 500.0),
        ("-3", -3.0),
        ("1e3B", 1e12),
        ("1.1B", 1.1e9),
        (42, 42.0),
    ],
)
def test_numbers_with_suffixes(text, value):
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "B", "7 x", "7BB", "1,000", "seven", "1e", "--3", "nan", "1__0", "٣"])
def test_what_is_no_number_is_refused_with_the_text(text):
    with pytest.raises(DataError, match="is not a number") as caught:
        parse_number(text)
    assert caught.value.code == "number-syntax"
    assert caught.value.details["value"] == text


@given(st.floats(min_value=1e3, max_value=9e14), st.integers(2, 6))
def test_si_text_reads_back_to_its_precision(value, digits):
    assert parse_number(format_si(value, digits)) == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))


@given(st.floats(allow_nan=False, min_value=1e-300, max_value=1e300), st.integers(2, 8))
def test_plain_text_reads_back_to_its_precision(value, digits):
    assert float(format_number(value, digits)) == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))


def test_rounding_carries_into_the_next_suffix():
    assert format_si(999.96e6) == "1.00B"
    assert format_si(999.4e6) == "999M"
    assert format_si(-7e9) == "-7.00B"
    assert format_si(math.nan) == "nan"
    assert format_si(math.inf) == "inf"
    assert format_number(-math.inf) == "-inf"
    assert format_number(0.0) == "0"


def test_a_range_of_one_value_is_one_value():
    assert format_range("N", 1e9, 1e9) == "1.00B"
    assert format_range("lr", 1e-4, 2e-3) == "0.0001 .. 0.002"


@given(st.floats(1e6, 1e13), st.floats(1e8, 1e15))
def test_any_two_of_n_d_and_c_give_the_third(n, d):
    c = complete_compute({"N": n, "D": d})["C"]
    assert c == pytest.approx(6 * n * d, rel=1e-15)
    assert complete_compute({"N": n, "C": c})["D"] == pytest.approx(d, rel=1e-14)
    assert complete_compute({"D": d, "C": c})["N"] == pytest.approx(n, rel=1e-14)


def test_nothing_is_invented_or_overwritten():
    assert complete_compute({"N": 1.0}) == {"N": 1.0}
    assert complete_compute({"N": 1.0, "D": 1.0, "C": 7.0}) == {"N": 1.0, "D": 1.0, "C": 7.0}
    arrays = complete_compute({"N": np.array([1.0, 2.0]), "D": np.array([3.0, 4.0])})
    np.testing.assert_array_equal(arrays["C"], [18.0, 48.0])


def test_roles_know_which_must_be_above_zero():
    assert all(ROLES[name].positive for name in ("N", "D", "C", "lr", "batch"))
    assert not ROLES["loss"].positive
