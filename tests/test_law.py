"""Laws from text: names, bounds, starts, pivots, binding, evaluation, refusals."""

import copy
import json
import pickle

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import DataError, LawError, OptionError
from isoloss.law.object import BoundLaw, Law, Recipe
from isoloss.objective import Huber, SquaredError

TEXT = "E + A / N**alpha + B / D**beta"


def chinchilla_like(**options):
    return iso.law(TEXT, positive=["E", "A", "B"], bounds={"alpha": (0, 2), "beta": (0, 2)}, **options)


def refused(code, *args, **kwargs):
    with pytest.raises(LawError) as caught:
        iso.law(*args, **kwargs)
    assert caught.value.code == code
    return str(caught.value)


def test_names_fall_into_variables_and_parameters_in_order_of_appearance():
    law = chinchilla_like()
    assert law.variables == ("N", "D")
    assert list(law.parameters) == ["E", "A", "alpha", "B", "beta"]
    assert law.parameters["A"].positive
    assert law.parameters["A"].bounds == (0.0, np.inf)
    assert law.parameters["alpha"].bounds == (0.0, 2.0)
    assert not law.parameters["alpha"].positive
    assert law.units == {"N": "parameters", "D": "tokens"}
    assert law.name == TEXT


def test_columns_can_be_named():
    law = iso.law("a * x**b + C", vars=["x"])
    assert law.variables == ("x",)
    assert list(law.parameters) == ["a", "b", "C"]


def test_evaluation_matches_numpy():
    law = chinchilla_like()
    params = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 410.0, "beta": 0.28}
    N, D = np.geomspace(1e7, 1e11, 7), np.geomspace(1e9, 1e13, 7)
    expected = 1.7 + 400.0 / N**0.34 + 410.0 / D**0.28
    np.testing.assert_allclose(law.bind(**params)(N=N, D=D), expected, rtol=1e-14)
    np.testing.assert_allclose(law(N=N, D=D, **params), expected, rtol=1e-14)


def test_bound_laws_broadcast_and_give_floats_for_scalars():
    bound = chinchilla_like().bind(E=1.7, A=400.0, alpha=0.34, B=410.0, beta=0.28)
    grid = bound(N=np.array([[1e8], [1e9]]), D=[1e10, 1e11, 1e12])
    assert grid.shape == (2, 3)
    point = bound(N="1B", D="100B")
    assert isinstance(point, float)
    assert point == grid[1, 1]
    assert bound(N=1e9, C=6e20) == pytest.approx(point, rel=1e-12)


def test_bind_takes_published_sets_and_overrides():
    law = iso.laws.get("chinchilla")
    published = law.bind("hoffmann2022")
    assert isinstance(published, BoundLaw)
    assert published.params == law.published["hoffmann2022"].params
    assert law.bind("hoffmann2022", E=2.0).params["E"] == 2.0
    assert law.bind(dict(published.params)).params == published.params


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        ({"E": 1.0}, "law-missing-name", "A, alpha, B, beta"),
        ({"Alpha": 1.0}, "law-unknown-name", "did you mean 'alpha'"),
    ],
)
def test_bind_refuses_unknown_and_missing_names(names, code, words):
    with pytest.raises(LawError, match=words) as caught:
        chinchilla_like().bind(**names)
    assert caught.value.code == code


def test_bind_names_the_nearest_published_set():
    with pytest.raises(LawError, match="did you mean 'besiroglu2024'"):
        iso.laws.get("chinchilla").bind("besirogl2024")


@pytest.mark.parametrize(
    ("values", "kind", "code"),
    [
        ({"N": 1e9}, LawError, "law-missing-name"),
        ({"N": 1e9, "D": 1e10, "lr": 1.0}, LawError, "law-unknown-name"),
        ({"N": -1e9, "D": 1e10}, DataError, "data-nonpositive"),
        ({"N": np.nan, "D": 1e10}, DataError, "data-nonfinite"),
        ({"N": "big", "D": 1e10}, DataError, "number-syntax"),
        ({"N": object(), "D": 1e10}, DataError, "data-nonnumeric"),
    ],
)
def test_evaluation_refuses_wrong_variables_by_name(values, kind, code):
    bound = chinchilla_like().bind(E=1.7, A=400.0, alpha=0.34, B=410.0, beta=0.28)
    with pytest.raises(kind) as caught:
        bound(**values)
    assert caught.value.code == code


@pytest.mark.parametrize(("text", "position"), [("E + * A", 4), ("E + A / N**", 11), ("E + A & N", 6), ("(E + A", 6)])
def test_malformed_text_is_refused_with_a_caret_under_the_fault(text, position):
    with pytest.raises(LawError) as caught:
        iso.law(text)
    error = caught.value
    assert error.code == "law-syntax"
    assert error.details["position"] == position
    shown, caret = str(error).splitlines()[1:]
    assert shown == f"  {text}"
    assert caret.index("^") == position + 2


def test_text_that_is_no_text_is_refused():
    assert "not int" in refused("law-syntax", 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"positive": ["AA"]}, "'AA'.*did you mean 'A'"),
        ({"bounds": {"alfa": (0, 1)}}, "'alfa'.*did you mean 'alpha'"),
        ({"starts": {"gamma": [1.0]}}, "'gamma'"),
        ({"vars": ["M"]}, "'M'"),
        ({"constants": {"k": 1.0}}, "'k'"),
        ({"pivots": {"N0": "geomean"}}, "'N0'"),
        ({"meanings": {"F": "x"}}, "'F'"),
        ({"units": {"lr": "1"}}, "'lr'"),
    ],
)
def test_names_the_law_does_not_have_are_refused(options, words):
    with pytest.raises(LawError, match=words) as caught:
        iso.law(TEXT, **options)
    assert caught.value.code == "law-unknown-name"


def test_a_law_needs_a_variable():
    assert "vars=" in refused("law-no-variables", "E + A * q")


@pytest.mark.parametrize("bounds", [(2, 1), (0, 0), (-1, 1), (0,), (0, "most"), (0, float("nan")), 3, "min_loss"])
def test_bounds_that_make_no_sense_are_refused(bounds):
    assert "'A'" in refused("law-bounds", TEXT, positive=["A"], bounds={"A": bounds})


def test_bounds_resolve_to_numbers():
    law = iso.law("E + A / N**alpha", positive=["A"], bounds={"E": (0, "min_loss"), "alpha": (None, 2)})
    lower, upper = law.resolve_bounds(np.array([3.0, 2.5]))
    np.testing.assert_array_equal(lower, [0.0, 0.0, -np.inf])
    np.testing.assert_array_equal(upper, [2.5, np.inf, 2.0])
    lower, upper = law.resolve_bounds(np.array([3.0]), {"alpha": (0.1, 0.2)})
    assert (lower[2], upper[2]) == (0.1, 0.2)
    with pytest.raises(LawError, match="no losses"):
        law.resolve_bounds()
    with pytest.raises(LawError, match="did you mean 'alpha'"):
        law.resolve_bounds(np.array([3.0]), {"alhpa": (0, 1)})
    with pytest.raises(LawError, match="not below"):
        law.resolve_bounds(np.array([-1.0]))


@pytest.mark.parametrize(
    "starts",
    [{"A": [0.0]}, {"A": []}, {"A": ["x"]}, {"A": [[1.0]]}, [[1.0, 2.0]], np.ones((0, 5)), {"alpha": [np.inf]}],
)
def test_starts_that_make_no_sense_are_refused(starts):
    refused("law-starts", TEXT, positive=["A"], starts=starts)


def test_starts_are_kept_as_a_grid_or_as_points():
    assert chinchilla_like(starts={"alpha": [0.1, 0.5], "E": 1.0}).starts == {"alpha": (0.1, 0.5), "E": (1.0,)}
    points = np.arange(1.0, 11.0).reshape(2, 5)
    np.testing.assert_array_equal(np.array(chinchilla_like(starts=points).starts), points)


def test_pivots_are_computed_from_the_columns():
    law = iso.law("E + A * (N/N0)**-alpha + B * (D/D0)**-beta", pivots={"N0": "geomean", "D0": "median"})
    assert list(law.parameters) == ["E", "A", "alpha", "B", "beta"]
    columns = {"N": np.array([1e8, 1e10]), "D": np.array([1.0, 2.0, 9.0])}
    assert law.resolve_constants(columns) == pytest.approx({"N0": 1e9, "D0": 2.0})
    with pytest.raises(LawError, match="N0") as caught:
        law.core()
    assert caught.value.code == "law-missing-name"
    bound = law.bind(E=1.0, A=2.0, alpha=0.5, B=0.0, beta=0.1, N0=1e9, D0=1.0)
    assert bound(N=4e9, D=1.0) == pytest.approx(2.0)


@pytest.mark.parametrize(("rule", "value"), [("min", 1.0), ("max", 9.0), ("median", 2.0), (5, 5.0), ("7B", 7e9)])
def test_rules_and_numbers_of_pivots(rule, value):
    law = iso.law("A * (N/N0)**-alpha", pivots={"N0": rule})
    assert law.resolve_constants({"N": np.array([1.0, 9.0, 2.0])})["N0"] == value


@pytest.mark.parametrize("pivots", [{"N0": "mean"}, {"A": "geomean"}, {"N0": float("nan")}])
def test_pivots_that_make_no_sense_are_refused(pivots):
    refused("law-pivot", "A * (N/N0)**-alpha", pivots=pivots)


def test_constants_are_not_parameters():
    law = iso.law("A * (C / k)**-alpha", constants={"k": 8.64e19})
    assert list(law.parameters) == ["A", "alpha"]
    assert law(C=8.64e19, A=3.0, alpha=0.05) == pytest.approx(3.0)
    assert "something else" in refused("law-unknown-name", "A / N", constants={"N": 1.0})


def test_the_compiled_expression_is_shared():
    assert chinchilla_like().core() is chinchilla_like(name="another").core()
    assert list(chinchilla_like().core().parameters) == ["E", "A", "alpha", "B", "beta"]


def test_the_recipe_comes_from_the_objective_or_whole():
    assert iso.law(TEXT).recipe.objective == Huber(1e-3, space="log")
    assert iso.law(TEXT, objective="squared_log").recipe.objective == SquaredError(space="log")
    with pytest.raises(OptionError, match="objective or recipe"):
        iso.law(TEXT, objective="squared_log", recipe=Recipe())


def test_laws_go_to_json_pickle_and_back():
    law = iso.law(
        "E + A * (N/N0)**-alpha + k",
        positive=["A"],
        bounds={"E": (None, "min_loss"), "alpha": (0, 2)},
        starts={"alpha": [0.1, 0.2]},
        pivots={"N0": "geomean"},
        constants={"k": 0.5},
        name="mine",
        meanings={"E": "floor"},
        objective=Huber(0.01, space="raw"),
        notes=["a note"],
    )
    again = Law.from_dict(json.loads(json.dumps(law.to_dict())))
    assert again == law
    assert again.parameters["E"].bounds == (-np.inf, "min_loss")
    assert pickle.loads(pickle.dumps(law)) == law
    assert copy.deepcopy(law) == law
    assert hash(again) == hash(law)
    bound = law.bind(E=1.0, A=2.0, alpha=0.5, N0=1e9)
    assert pickle.loads(pickle.dumps(bound))(N=1e9) == bound(N=1e9) == pytest.approx(3.5)


def test_altered_plain_data_are_refused():
    data = chinchilla_like().to_dict()
    data["expr"] = "E + A / N**alpha"
    with pytest.raises(LawError):
        Law.from_dict(data)


def test_laws_cannot_be_changed_in_place():
    law = chinchilla_like()
    with pytest.raises(TypeError):
        law.parameters["E"] = None
    with pytest.raises(AttributeError):
        law.name = "other"


def test_the_card_says_what_is_known():
    card = str(
        iso.law(
            "E + A * (N/N0)**-alpha",
            positive=["A"],
            bounds={"E": (0, "min_loss"), "alpha": (None, 2)},
            pivots={"N0": "geomean"},
            name="mine",
            meanings={"E": "floor"},
            notes=["remember"],
        )
    )
    assert card.splitlines() == [
        "mine",
        "  L = E + A * (N/N0)**-alpha",
        "  variables",
        "    N  [parameters]  model size",
        "  parameters",
        "    E      [0, min loss]  floor",
        "    A      > 0",
        "    alpha  <= 2",
        "  constants",
        "    N0  geomean  of N in the fitted runs",
        "  recipe: sum of Huber (delta 0.001) on log loss",
        "  note: remember",
    ]
    assert repr(chinchilla_like()).startswith("Law('E + A / N**alpha")


def test_a_compute_that_contradicts_size_and_tokens_is_refused():
    bound = iso.laws.get("chinchilla").bind("besiroglu2024")
    assert bound(N=1e9, D=2e10, C=1.2e20) == bound(N=1e9, D=2e10)
    with pytest.raises(DataError, match="C is 2 times 6 N D") as error:
        bound(N=1e9, D=[2e10, 2e10], C=[1.2e20, 2.4e20])
    assert (error.value.code, error.value.details["row"]) == ("compute-contradictory", 1)
    with pytest.raises(DataError, match="3 times"):
        iso.laws.get("power_law_C").bind(E=1.7, A=10.0, alpha=0.1)(C=3.6e20, N=1e9, D=2e10)
    own = iso.law("a*N + b*D + c*C", vars=["N", "D", "C"]).bind(a=1.0, b=1.0, c=1.0)
    assert own(N=1.0, D=1.0, C=1.0) == 3.0  # a law of all three may count compute as it likes
