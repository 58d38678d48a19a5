"""Objectives: sums of a function of the residual."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import isoloss as iso
from isoloss.errors import DataError, OptionError
from isoloss.objective import AbsoluteError, Huber, Objective, SquaredError, resolve

ALL = [kind(space=space) for kind in (Huber, SquaredError, AbsoluteError) for space in ("raw", "log", "logit")]
unit = st.floats(0.01, 0.99)


def test_huber_is_the_textbook_formula_on_both_sides_of_delta():
    objective = Huber(0.1, space="raw")
    inside, outside = 0.05, 0.3
    assert objective.value([1 + inside], [1.0]) == pytest.approx(inside**2 / 2, rel=1e-12)
    assert objective.value([1 - outside], [1.0]) == pytest.approx(0.1 * (outside - 0.05), rel=1e-12)


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=20), st.floats(1e-6, 10.0))
def test_huber_lies_between_its_two_limits(pairs, delta):
    prediction, target = np.array(pairs).T
    huber = Huber(delta, space="log").value(prediction, target)
    squared = SquaredError(space="log").value(prediction, target)
    absolute = AbsoluteError(space="log").value(prediction, target)
    assert huber <= 0.5 * squared * (1 + 1e-12)
    assert huber <= delta * absolute * (1 + 1e-12)
    if np.all(np.abs(np.log(prediction / target)) <= delta * (1 - 1e-12)):
        assert huber == pytest.approx(0.5 * squared, rel=1e-12)


@pytest.mark.parametrize("objective", ALL, ids=lambda o: o.name)
@given(data=st.data())
def test_the_value_is_a_weighted_sum(objective, data):
    n = data.draw(st.integers(1, 8))
    column = st.lists(unit, min_size=n, max_size=n)
    prediction, target = np.array(data.draw(column)), np.array(data.draw(column))
    weights = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)), dtype=float)
    repeated = np.repeat(np.arange(n), weights.astype(int))
    expected = sum(objective.value([prediction[i]], [target[i]]) for i in repeated)
    assert objective.value(prediction, target, weights) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    ("space", "transform"), [("raw", lambda x: x), ("log", math.log), ("logit", lambda x: math.log(x / (1 - x)))]
)
def test_residuals_are_taken_in_the_space(space, transform):
    prediction, target = 0.3, 0.7
    expected = (transform(prediction) - transform(target)) ** 2
    assert SquaredError(space=space).value([prediction], [target]) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("space", "wrong"), [("log", 0.0), ("log", -1.0), ("logit", 1.0), ("logit", 0.0)])
def test_a_loss_outside_the_domain_is_refused_by_row_unless_it_has_no_weight(space, wrong):
    objective = AbsoluteError(space=space)
    with pytest.raises(DataError, match="row 1") as caught:
        objective.value([0.5, 0.5], [0.5, wrong])
    assert caught.value.code == "data-nonpositive"
    assert objective.value([0.5, 0.5], [0.5, wrong], weights=[1.0, 0.0]) == 0.0


@pytest.mark.parametrize("objective", [*ALL, Huber(0.37)], ids=lambda o: o.name)
def test_plain_data_text_and_pickle_give_the_objective_back(objective):
    assert Objective.from_dict(objective.to_dict()) == objective
    assert pickle.loads(pickle.dumps(objective)) == objective
    assert copy.copy(objective) == objective
    assert resolve(objective) is objective
    assert resolve(objective.name, delta=objective.delta or None) == objective


def test_defaults_are_those_of_the_field():
    assert Huber() == Huber(1e-3, space="log")
    assert SquaredError().space == "raw"
    assert AbsoluteError().space == "log"
    assert resolve("huber") == Huber(1e-3, space="log")
    assert resolve("squared") == SquaredError(space="raw")
    assert resolve(Huber(), delta=0.1) == Huber(0.1)
    assert (Huber().kind, SquaredError().kind, AbsoluteError().kind) == ("huber", "squared", "absolute")
    assert SquaredError().delta == AbsoluteError().delta == 0.0


def test_published_points_have_their_published_value():
    # The optimum and value of one digitised fit, on three of its points, computed by hand in the logs.
    law = iso.laws.get("chinchilla").bind(E=1.8, A=480.0, alpha=0.35, B=2100.0, beta=0.37)
    N, D = np.array([1e8, 1e9, 1e10]), np.array([2e9, 2e10, 2e11])
    prediction = 1.8 + 480 / N**0.35 + 2100 / D**0.37
    loss = prediction * np.exp([0.0, 5e-4, -0.02])
    expected = 0.0 + 0.5 * 5e-4**2 + 1e-3 * (0.02 - 0.5e-3)
    assert Huber().value(law(N=N, D=D), loss) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Huber(0.0),
        lambda: Huber(-1.0),
        lambda: Huber(math.nan),
        lambda: Huber(space="ln"),
        lambda: resolve("hubert_log"),
        lambda: resolve("huber_ln"),
        lambda: resolve("squared_log", delta=0.1),
        lambda: resolve(SquaredError(), delta=0.1),
        lambda: resolve(3),
    ],
)
def test_unknown_objectives_are_refused(wrong):
    with pytest.raises(OptionError) as caught:
        wrong()
    assert caught.value.code == "objective-unknown"


def test_the_nearest_objective_is_named():
    with pytest.raises(OptionError, match="did you mean 'huber_log'"):
        resolve("hubr_log")


def test_the_base_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Objective()
