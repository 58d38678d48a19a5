"""One law for several groups of runs, with parameters in common."""

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import LawError, OptionError

CHINCHILLA = iso.laws.get("chinchilla")
TRUTH = {"alpha": 0.34, "beta": 0.28, "E_code": 0.9, "A_code": 250.0, "B_code": 300.0}
TRUTH |= {"E_web": 1.8, "A_web": 480.0, "B_web": 410.0, "E_books": 2.1, "A_books": 350.0, "B_books": 500.0}
GROUPS = ["code", "web", "books"]


def runs(noise, seed=0, n=40):
    rng = np.random.default_rng(seed)
    law = iso.by_group(CHINCHILLA, "corpus", GROUPS, share=["alpha", "beta"])
    N = np.exp(rng.uniform(np.log(1e7), np.log(1e10), 3 * n))
    columns = {"N": N, "D": N * np.exp(rng.uniform(1.6, 5.3, 3 * n)), "corpus": np.repeat([0.0, 1.0, 2.0], n)}
    return law, columns, law(**columns, **TRUTH) * np.exp(noise * rng.standard_normal(3 * n))


def test_every_group_has_the_value_of_the_law():
    law, columns, loss = runs(0.0)
    assert law.variables == ("N", "D", "corpus")
    assert set(law.parameters) == set(TRUTH)
    assert law.parameters["E_web"].positive
    assert "(web)" in law.parameters["E_web"].meaning
    for k, group in enumerate(GROUPS):
        own = columns["corpus"] == k
        one = {name: TRUTH.get(f"{name}_{group}", TRUTH.get(name)) for name in CHINCHILLA.parameters}
        expected = CHINCHILLA(N=columns["N"][own], D=columns["D"][own], **one)
        np.testing.assert_allclose(loss[own], expected, rtol=1e-15)


def test_shared_exponents_are_fitted_from_all_groups():
    law, columns, loss = runs(0.003)
    fit = iso.fit(law, {**columns, "loss": loss}, objective="squared_log", seed=0)
    assert fit.success
    assert fit.params == pytest.approx(TRUTH, rel=0.25)
    assert abs(fit.params["alpha"] - 0.34) < 0.02
    # Better known than from one group alone, and no worse than any fit with the exponents held there.
    own = columns["corpus"] == 0.0
    alone = iso.fit(
        CHINCHILLA, {name: columns[name][own] for name in "ND"} | {"loss": loss[own]}, objective="squared_log"
    )
    assert fit.stderr["alpha"] < alone.stderr["alpha"]
    parts = [
        iso.fit(
            CHINCHILLA,
            {name: columns[name][columns["corpus"] == k] for name in "ND"} | {"loss": loss[columns["corpus"] == k]},
            objective="squared_log",
            fix={"alpha": fit.params["alpha"], "beta": fit.params["beta"]},
        )
        for k in range(3)
    ]
    assert fit.value == pytest.approx(sum(part.value for part in parts), rel=1e-8)
    for part, group in zip(parts, GROUPS, strict=True):
        for name in "EAB":
            assert fit.params[f"{name}_{group}"] == pytest.approx(part.params[name], rel=1e-5)


def test_tied_parameters_are_shared_ones():
    law, columns, loss = runs(0.003, seed=1)
    free = iso.by_group(CHINCHILLA, "corpus", GROUPS)
    assert len(free.parameters) == 15
    tie = {f"{name}_{group}": f"{name}_code" for name in ("alpha", "beta") for group in ("web", "books")}
    options = {"objective": "squared_log", "starts": 16}
    shared = iso.fit(law, {**columns, "loss": loss}, **options)
    tied = iso.fit(free, {**columns, "loss": loss}, tie=tie, **options)
    assert tied.value == pytest.approx(shared.value, rel=1e-9)
    assert tied.params["alpha_web"] == tied.params["alpha_code"] == pytest.approx(shared.params["alpha"], rel=1e-5)
    # In a batch as well.
    start = [shared.params.get(name, shared.params.get(name.split("_")[0])) for name in free.parameters]
    table = iso.fit_many(free, columns, np.vstack([loss, 1.1 * loss]), starts=start, tie=tie, objective="squared_log")
    assert table.success.all()
    np.testing.assert_array_equal(table["beta_books"], table["beta_code"])
    np.testing.assert_allclose(table["alpha_web"], shared.params["alpha"], rtol=1e-5)


def test_inner_columns_and_grids_of_starts_keep_their_names():
    text = "E + B * sum_over(E2, E2.E * exp(-B * x))"
    law = iso.law(text, vars=["x"], positive=["E"], starts={"E": [1.0, 2.0], "B": [0.5]})
    both = iso.by_group(law, "g", ["a", "b"], share=["B"])
    assert both.expr == (
        "where(g == 0, E_a + B * sum_over(E2, E2.E * exp(-B * x)), E_b + B * sum_over(E2, E2.E * exp(-B * x)))"
    )
    assert list(both.parameters) == ["E_a", "B", "E_b"]
    assert both.starts == ((1.0, 0.5, 1.0), (2.0, 0.5, 2.0))


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("corpus", ["a"]), OptionError, "two or more names"),
        (("corpus", ["a b", "a-b"]), OptionError, "differ in letters"),
        (("N", ["a", "b"]), OptionError, "already has a name 'N'"),
        (("alpha", ["a", "b"]), OptionError, "already has a name 'alpha'"),
    ],
)
def test_faults_are_named(arguments, error, said):
    with pytest.raises(error, match=said):
        iso.by_group(CHINCHILLA, *arguments)
    with pytest.raises(LawError, match="no parameter of 'chinchilla'; did you mean 'alpha'"):
        iso.by_group(CHINCHILLA, "corpus", ["a", "b"], share=["alpah"])
