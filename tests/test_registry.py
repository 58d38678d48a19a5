"""The registry: one set of tests over every law and rule, and the published coefficients of the first family.

The check points stand in `registry_points`; a law or rule without one fails.
"""

import copy
import importlib.util
import itertools
import json
import pickle
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import DataError, LawError
from isoloss.hparams.published import published as published_settings
from isoloss.law.object import Law, Published
from isoloss.laws._markdown import papers
from isoloss.laws.compute_optimal import hoffmann_starts

NAMES = iso.laws.names()
PLAIN = [name for name in NAMES if not iso.laws.get(name).inner]
"""Laws whose rows are numbers; those that sum over inner tables are planted in tests of their own."""
RULES = iso.rules.names()
LAW_POINTS: dict = {}
RULE_POINTS: dict = {}
for path in sorted((Path(__file__).parent / "registry_points").glob("*.py")):
    spec = importlib.util.spec_from_file_location(f"registry_points_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    LAW_POINTS.update(getattr(module, "LAWS", {}))
    RULE_POINTS.update(getattr(module, "RULES", {}))

FREE_UNITS = ("N", "D", "C", "U", "S", "batch")


def test_every_entry_has_a_check_point_and_no_name_occurs_twice():
    assert sorted(LAW_POINTS) == sorted(NAMES)
    assert sorted(RULE_POINTS) == sorted(RULES)
    assert len({*NAMES, *RULES}) == len(NAMES) + len(RULES)


@pytest.mark.parametrize("name", NAMES)
def test_every_law_is_complete_and_survives_json(name):
    law = iso.laws.get(name)
    assert law.name == name
    assert law.variables
    assert law.family
    assert law.status in iso.laws.STATUS
    assert all(parameter.meaning for parameter in law.parameters.values())
    assert all(law.units[variable] for variable in law.variables)
    assert law.target == "L" or law.target_unit, "a law of something else than a loss says its unit"
    assert Law.from_dict(json.loads(json.dumps(law.to_dict()))) == law
    assert " ".join(law.expr.split()) in " ".join(str(law).split())
    assert max(map(len, str(law).splitlines())) <= 100


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_complete(name):
    rule = iso.rules.get(name)
    assert rule.name == name
    assert rule.kind == "rule"
    assert rule.variables
    assert rule.gives
    assert rule.family
    assert rule.status in iso.laws.STATUS
    assert all(quantity.unit or not quantity.numeric for quantity in rule.inputs.values())
    assert all(quantity.meaning for quantity in rule.inputs.values())
    assert json.dumps(rule.to_dict())
    assert pickle.loads(pickle.dumps(rule)) is rule
    assert copy.deepcopy(rule) is rule
    card = str(rule)
    assert max(map(len, card.splitlines())) <= 100
    assert ("states no fitted law" in card) == (not rule.states_law)


@pytest.mark.parametrize("name", [*NAMES, *RULES])
def test_published_sets_say_where_they_were_read(name):
    entry = iso.rules.get(name) if name in RULES else iso.laws.get(name)
    if entry.status == "verified" and entry.kind == "law":
        assert entry.published, "verified coefficients are there"
    for key, published in entry.published.items():
        assert len(published.source) > 10, key
        assert "memory" not in f"{published.source} {published.note}".casefold(), key
        assert all(np.isfinite(value) for value in published.params.values()), key
        if entry.kind == "law":
            assert sorted(published.params) == sorted(entry.parameters), key
        for parameter, (low, high) in published.intervals.items():
            assert low < published[parameter] < high, (key, parameter)
        for parameter, value in published.params.items():
            given = entry.parameters[parameter]
            low, high = given.bounds if entry.kind == "law" else (given.low, given.high)
            assert low == "min_loss" or low <= value, (key, parameter)
            assert high == "min_loss" or value <= high, (key, parameter)
    if entry.status in ("verified", "form verified"):
        assert not entry.published or not all(p.second_hand for p in entry.published.values())


class Tags(HTMLParser):
    """Opened and closed tags, to see that they match."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", [*NAMES, *RULES])
def test_every_entry_shows_itself_in_a_notebook(name):
    entry = iso.rules.get(name) if name in RULES else iso.laws.get(name)
    bundle = entry._repr_mimebundle_()
    assert bundle["text/plain"] == str(entry)
    assert set(entry._repr_mimebundle_(include=["text/html"])) == {"text/html"}
    assert "text/html" not in entry._repr_mimebundle_(exclude=["text/html"])
    formula = entry.latex()
    plain = re.sub(r"\\[{}]", "", formula)
    assert plain.count("{") == plain.count("}")
    assert formula.count(r"\left") == formula.count(r"\right")
    assert r"\texttt" not in formula, "the formula could not be typeset"
    tags = Tags()
    tags.feed(bundle["text/html"])
    assert tags.open == []
    assert bundle["text/html"].count("$$") == 2


@pytest.mark.parametrize("name", NAMES)
def test_every_law_gives_the_value_worked_out_by_hand(name):
    point = LAW_POINTS[name]
    assert iso.laws.get(name)(**point["at"]) == pytest.approx(point["value"], rel=point.get("rel", 1e-9))


@pytest.mark.parametrize("name", RULES)
def test_every_rule_gives_the_values_worked_out_by_hand(name):
    rule = iso.rules.get(name)
    for arguments, expected, *tolerance in RULE_POINTS[name]:
        key, values = arguments if isinstance(arguments, tuple) else (None, arguments)
        got = rule(key, **values)
        rel = tolerance[0] if tolerance else 1e-9
        if callable(rel):
            assert rel(got) == expected
        elif isinstance(expected, dict):
            for field, value in expected.items():
                assert getattr(got, field) == (value if isinstance(value, str) else pytest.approx(value, rel=rel)), (
                    field
                )
        else:
            assert got == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize("name", PLAIN)
def test_every_published_set_evaluates(name):
    law = iso.laws.get(name)
    grid = variables(LAW_POINTS[name]["grid"])
    for key in law.published:
        constants = law.resolve_constants(grid) if law.pivots else {}
        value = law.bind(law.published[key].params, **{n: constants[n] for n in law.pivots})(**grid)
        assert np.all(np.isfinite(value)), key


def variables(grid):
    axes = [np.geomspace(*axis) if isinstance(axis, tuple) else np.asarray(axis, dtype=float) for axis in grid.values()]
    return dict(zip(grid, np.array(list(itertools.product(*axes))).T, strict=True))


def planted(name, noise=None):
    """(law, truth, runs): runs of a known truth with noise of a fixed seed."""
    law, point = iso.laws.get(name), LAW_POINTS[name]
    columns = variables(point["grid"])
    truth = point["truth"]
    truth = dict(law.published[truth].params) if isinstance(truth, str) else truth
    constants = law.resolve_constants(columns)
    exact = law.bind(truth, **{pivot: constants[pivot] for pivot in law.pivots})(**columns)
    kind = point.get("noise", 0.002) if noise is None else noise
    random = np.random.default_rng(7)
    if kind == "pass":
        return (
            law,
            truth,
            {**columns, "loss": random.binomial(20_000, exact) / 20_000, "trials": np.full(exact.size, 2e4)},
        )
    return law, truth, {**columns, "loss": exact * np.exp(kind * random.standard_normal(exact.size))}


def fitted(name, law, truth, runs):
    point = LAW_POINTS[name]
    roles = {variable: variable for variable in law.variables if variable not in iso.units.ROLES}
    fix = {parameter: truth[parameter] for parameter in point.get("fixed", ())}
    return iso.fit(
        law,
        iso.read(runs, **roles),
        objective=point.get("objective", "squared_log"),
        fix=fix or None,
        seed=0,
    )


@pytest.mark.parametrize("name", PLAIN)
def test_every_law_recovers_a_planted_truth_within_its_interval(name):
    law, truth, runs = planted(name)
    fit = fitted(name, law, truth, runs)
    assert fit.success, fit.status
    assert fit.cov is not None, fit.cov_reason
    for parameter, error in fit.stderr.items():
        if parameter not in LAW_POINTS[name].get("fixed", ()):
            # 99.9 % intervals: five parameters of eighty laws are looked at.
            assert abs(fit.params[parameter] - truth[parameter]) < 3.3 * error, parameter


@pytest.mark.parametrize("name", PLAIN)
def test_the_unit_of_a_variable_changes_no_prediction(name):
    free = [v for v in LAW_POINTS[name].get("units", FREE_UNITS) if v in iso.laws.get(name).variables]
    if not free:
        pytest.skip("the variables of this law have the units it states")
    law, truth, runs = planted(name)
    fit = fitted(name, law, truth, runs)
    small = {column: values * 1e-6 if column in free else values for column, values in runs.items()}
    again = fitted(name, law, truth, small)
    assert again.value == pytest.approx(fit.value, rel=1e-6)
    before, after = ({v: columns[v] for v in law.variables} for columns in (runs, small))
    np.testing.assert_allclose(again.predict(**after), fit.predict(**before), rtol=1e-6)


def test_numbers_may_be_texts():
    for name in PLAIN:
        at = LAW_POINTS[name]["at"]
        law = iso.laws.get(name)
        assert law(**{key: repr(value) for key, value in at.items()}) == law(**at)


def test_table_has_the_promised_columns():
    rows = iso.laws.table()
    assert [row["name"] for row in rows] == [*NAMES, *RULES]
    for row in rows:
        assert {"name", "kind", "family", "paper", "arxiv", "status"} <= set(row)
        assert row["kind"] == ("law" if row["name"] in NAMES else "rule")
    assert json.dumps(rows)


def test_papers_are_listed_once_with_all_their_entries():
    listed = papers(iso.laws.table())
    names = [name for paper in listed for kind in ("laws", "rules") for name in paper[kind]]
    assert sorted(names) == sorted([*NAMES, *RULES])
    known = [paper["arxiv"] for paper in listed if paper["arxiv"]]
    assert len(known) == len(set(known))


def test_every_entry_stands_on_one_page_of_the_documentation():
    pages = (Path(__file__).parents[1] / "docs" / "laws").glob("*.md")
    directive = re.compile(r"^```\{isoloss-(law|rule)\} ([\w+]+)$", re.MULTILINE)
    told = [found for page in pages for found in directive.findall(page.read_text(encoding="utf-8"))]
    assert sorted(told) == sorted([*(("law", name) for name in NAMES), *(("rule", name) for name in RULES)])


def test_unknown_rules_are_refused_with_the_nearest_names():
    with pytest.raises(LawError, match="did you mean 'compound_scaling'") as caught:
        iso.rules.get("compound_scalin")
    assert caught.value.code == "rule-unknown"
    with pytest.raises(LawError, match="is a law") as caught:
        iso.rules.get("chinchilla")
    assert caught.value.code == "rule-unknown"
    with pytest.raises(LawError, match="is a rule") as caught:
        iso.laws.get("compound_scaling")
    assert caught.value.code == "law-unknown"


@pytest.mark.parametrize(
    ("arguments", "values", "kind", "code", "words"),
    [
        ((), {"s": 4.0, "width": 1.0}, LawError, "law-unknown-name", "no input 'width'"),
        ((), {}, LawError, "law-missing-name", "no value for s"),
        (("fastest",), {"s": 4.0}, LawError, "law-unknown-name", "did you mean 'fast'"),
        ((), {"s": -4.0}, DataError, "rule-domain", "'s': -4"),
        ((), {"s": [1.0, 0.0]}, DataError, "rule-domain", "'s': 0"),
        ((), {"s": 4.0, "e_w": 1.5}, DataError, "rule-domain", r"\[0, 1\]"),
        ((), {"s": float("nan")}, DataError, "data-nonfinite", "'s'"),
        ((), {"s": "four"}, DataError, "number-syntax", "four"),
        ((), {"s": [[1], [2, 3]]}, DataError, "data-nonnumeric", "'s'"),
    ],
)
def test_rules_refuse_what_they_cannot_take(arguments, values, kind, code, words):
    with pytest.raises(kind, match=words) as caught:
        iso.rules.get("compound_scaling")(*arguments, **values)
    assert caught.value.code == code


def test_rules_take_texts_and_arrays():
    rule = iso.rules.get("compound_scaling")
    assert rule("fast", s="4").width == rule("fast", s=4.0).width
    assert isinstance(rule("fast", s="4").width, float)
    np.testing.assert_array_equal(rule("width_only", s=[1.0, 4.0]).width, [1.0, 2.0])


def test_unknown_laws_are_refused_with_the_nearest_names():
    with pytest.raises(LawError, match="did you mean 'chinchilla'") as caught:
        iso.laws.get("chincila")
    assert caught.value.code == "law-unknown"
    with pytest.raises(LawError, match="known: chinchilla, "):
        iso.laws.get("0123456789")


@pytest.mark.parametrize("key", iso.laws.get("chinchilla").published)
def test_published_laws_are_recovered_from_runs_without_noise(key):
    law = iso.laws.get("chinchilla")
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


def test_short_names_stand_for_entries_that_exist():
    for alias, members in iso.laws.ALIASES.items():
        assert alias not in (*NAMES, *RULES), alias
        assert {*members} <= {*NAMES, *RULES}, alias
        assert [entry.name for entry in iso.laws.named(alias)] == list(members)
    assert iso.laws.get("hoffmann") is iso.laws.get("chinchilla")
    assert iso.rules.get("marlin") is iso.rules.get("marlin_roofline")
    assert iso.laws.named("marlin_roofline") == (iso.rules.get("marlin"),)
    with pytest.raises(LawError, match="stands for 2 laws, take one of them: steplaw_lr, steplaw_batch") as caught:
        iso.laws.get("steplaw")
    assert caught.value.code == "law-unknown"
    with pytest.raises(LawError, match="is a rule"):
        iso.laws.get("marlin")


def test_every_published_law_of_settings_is_known_by_the_name_that_hparams_gives_it():
    for row in published_settings():
        assert iso.laws.named(row.name), row.name


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(iso.laws, "_user", {})


def test_users_register_their_own(own_registry):
    mine = iso.law("E + A / N**alpha", positive=["E", "A"])
    registered = iso.laws.register(mine, name="mine", cite="arXiv:2203.15556")
    assert iso.laws.get("mine") is registered
    assert iso.laws.names()[-1] == "mine"
    assert next(row for row in iso.laws.table() if row["name"] == "mine")["arxiv"] == "2203.15556"
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
    with pytest.raises(LawError, match="built-in"):
        iso.laws.register(iso.law("E + A / N**alpha"), name="steplaw")


def test_a_published_set_must_give_each_parameter_once():
    with pytest.raises(LawError) as caught:
        iso.law("E + A / N**alpha", published={"x": Published({"E": 1.0}, "nowhere")})
    assert caught.value.code == "law-published"


def test_importing_the_registry_builds_no_law():
    code = (
        "import isoloss.laws as laws, sys; "
        "assert len(laws._shelf) == 0; "
        "assert not [m for m in sys.modules if m.startswith(('isoloss.laws.', 'isoloss.rules'))]; "
        "assert 'narwhals' not in sys.modules and 'polars' not in sys.modules and 'pandas' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
