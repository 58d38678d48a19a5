"""The registry and the published coefficients of the compute-optimal family."""

import json
import subprocess
import sys

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import LawError
from isoloss.law import Law, Published
from isoloss.laws.compute_optimal import hoffmann_starts

NAMES = iso.laws.names()


@pytest.mark.parametrize("name", NAMES)
def test_every_law_is_complete_and_survives_json(name):
    law = iso.laws.get(name)
    assert law.name == name
    assert law.variables
    assert all(parameter.meaning for parameter in law.parameters.values())
    assert all(law.units[variable] for variable in law.variables)
    assert Law.from_dict(json.loads(json.dumps(law.to_dict()))) == law
    assert law.expr in str(law)


@pytest.mark.parametrize("name", NAMES)
def test_every_published_set_evaluates_to_a_sensible_loss(name):
    law = iso.laws.get(name)
    for key, published in law.published.items():
        assert published.source, key
        assert list(published.params) == list(law.parameters), key
        value = law.bind(key)(**dict.fromkeys(law.variables, 1e10))
        assert 1.0 < value < 5.0, key


def test_table_has_the_promised_columns():
    rows = iso.laws.table()
    assert [row["name"] for row in rows][: len(NAMES)] == NAMES
    for row in rows:
        assert {"name", "kind", "family", "paper", "arxiv", "status"} <= set(row)
        assert row["kind"] in ("law", "rule")
    assert json.dumps(rows)


def test_unknown_laws_are_refused_with_the_nearest_names():
    with pytest.raises(LawError, match="did you mean 'chinchilla'") as caught:
        iso.laws.get("chincila")
    assert caught.value.code == "law-unknown"
    with pytest.raises(LawError, match="known: chinchilla, kaplan"):
        iso.laws.get("qqq")


@pytest.mark.parametrize(("name", "key"), [(n, k) for n in NAMES for k in iso.laws.get(n).published])
def test_published_laws_are_recovered_from_runs_without_noise(name, key):
    law = iso.laws.get(name)
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e11, 6), np.geomspace(1e8, 1e13, 6)))
    runs = {"N": N, "D": D, "loss": law.bind(key)(N=N, D=D)}
    fit = iso.fit(law, runs, objective="squared_log", seed=0)
    assert fit.success
    assert fit.value < 1e-18
    assert fit.params == pytest.approx(dict(law.published[key].params), rel=1e-6)


def optimum(name, C):
    """N at the least loss along D = C/(6N), on a fine grid."""
    N = np.geomspace(1e8, 1e13, 200_001)
    loss = iso.laws.get("chinchilla").bind(name)(N=N, D=C / (6 * N))
    best = np.argmin(loss)
    return N[best], C / (6 * N[best] ** 2)


@pytest.mark.parametrize(
    ("name", "N", "tokens_per_parameter"),
    [
        # Recomputed from the coefficients by several readers; Hoffmann et al. print 40B themselves.
        ("hoffmann2022", 40.4e9, 59.0),
        ("hoffmann2022_printed", 32.2e9, 93.0),
        ("besiroglu2024", 72.4e9, 18.3),
    ],
)
def test_published_sets_give_their_known_optimum_at_gopher_compute(name, N, tokens_per_parameter):
    n, ratio = optimum(name, 5.76e23)
    assert n == pytest.approx(N, rel=0.005)
    assert ratio == pytest.approx(tokens_per_parameter, rel=0.01)


def test_published_coefficients_round_to_the_printed_ones():
    published = iso.laws.get("chinchilla").published
    for name, digits in (("E", 2), ("A", 1), ("B", 1), ("alpha", 2), ("beta", 2)):
        # The paper prints 410.7 and 0.28 for 410.72 and 0.2849.
        assert round(published["hoffmann2022"][name], digits) == published["hoffmann2022_printed"][name]
    besiroglu = published["besiroglu2024"]
    assert (round(besiroglu["A"], 2), round(besiroglu["B"], 2), round(besiroglu["E"], 4)) == (482.01, 2085.43, 1.8169)
    for name, (low, high) in besiroglu.intervals.items():
        assert low < besiroglu[name] < high


def test_tied_exponents_of_the_c4_fit_are_equal():
    params = iso.laws.get("chinchilla").published["muennighoff2023_c4"].params
    assert params["alpha"] == params["beta"]


def test_kaplan_reaches_its_one_variable_limits():
    law = iso.laws.get("kaplan")
    published = law.published["kaplan2020"]
    assert published.second_hand
    bound = law.bind("kaplan2020")
    assert bound(N=1e9, D=1e40) == pytest.approx((6.4e13 / 1e9) ** 0.076, rel=1e-9)
    assert bound(N=1e60, D=1e10) == pytest.approx((1.8e13 / 1e10) ** 0.103, rel=1e-9)


def test_hoffmann_starts_are_the_grid_of_the_paper():
    starts = hoffmann_starts()
    assert starts.shape == (4500, 5)
    assert len(np.unique(starts, axis=0)) == 4500
    assert list(iso.laws.get("chinchilla").parameters) == ["E", "A", "alpha", "B", "beta"]
    np.testing.assert_allclose(np.unique(np.log(starts[:, 0])), [-1, -0.5, 0, 0.5, 1], atol=1e-15)
    np.testing.assert_allclose(np.unique(np.log(starts[:, 1])), [0, 5, 10, 15, 20, 25], rtol=1e-14)
    np.testing.assert_array_equal(np.unique(starts[:, 2]), [0, 0.5, 1, 1.5, 2])
    np.testing.assert_array_equal(starts[:, 1].min(), starts[:, 3].min())


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(iso.laws, "_user", {})


def test_users_register_their_own(own_registry):
    mine = iso.law("E + A / N**alpha", positive=["E", "A"])
    registered = iso.laws.register(mine, name="mine", cite="arXiv:2203.15556")
    assert iso.laws.get("mine") is registered
    assert iso.laws.names()[-1] == "mine"
    assert iso.laws.table()[-1]["arxiv"] == "2203.15556"
    assert registered.source.paper == ""
    # Running a notebook cell twice is no mistake.
    iso.laws.register(mine, name="mine", cite="arXiv:2203.15556")
    other = iso.law("E + A / D**alpha", name="mine")
    with pytest.raises(LawError, match="replace=True") as caught:
        iso.laws.register(other)
    assert caught.value.code == "law-name-taken"
    assert iso.laws.register(other, replace=True, cite="lab notes").source.paper == "lab notes"
    assert iso.laws.get("mine").variables == ("D",)


def test_built_in_laws_are_never_replaced(own_registry):
    with pytest.raises(LawError, match="built-in"):
        iso.laws.register(iso.law("E + A / N**alpha"), name="chinchilla", replace=True)


def test_a_published_set_must_give_each_parameter_once():
    with pytest.raises(LawError) as caught:
        iso.law("E + A / N**alpha", published={"x": Published({"E": 1.0}, "nowhere")})
    assert caught.value.code == "law-published"


def test_importing_the_registry_builds_no_law():
    code = (
        "import isoloss.laws as laws, sys; "
        "assert laws._built.cache_info().currsize == 0; "
        "assert 'narwhals' not in sys.modules and 'polars' not in sys.modules and 'pandas' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
