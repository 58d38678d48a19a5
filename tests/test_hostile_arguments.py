"""Any value in any argument of the calls on recipes, plans and FLOPs: a result, or a refusal with a code. No warnings.

What a value of the wrong kind gets elsewhere is in `tests/test_refusals.py`.
"""

import math

import numpy as np
import pytest
from refusals import coded

import isoloss as iso
from isoloss.cli import main
from isoloss.errors import DataError, OptionError, OutputError

LAW = iso.laws.get("chinchilla").bind("besiroglu2024")
GRID = iso.grid(C=[1e19, 1e20], tpp=[5, 20, 80])
TARGET = iso.Target.allocation(C=1e23)
ODD = (
    *(0, -1, 1e300, 1.7e308, 5e-324, 1e-300, math.nan, math.inf, -math.inf, 10**400, True, 1j, None, object()),
    *("x", "", "1e400", "٣", "7B", "\ud800", "1e21\0", b"1", np.datetime64("2020"), np.float32(1e21), np.ma.masked),
    *([], {}, (), set(), [[1e21]], ["1e21", 1e22], [1e21, None], [1e21, -1], [1e21, [1e22]]),
    *(np.array(1e21), np.array([1e21]), np.array(["a"])),
)
TRANSFORMER = {"layers": 12, "vocab": 32_000, "seq": 2_048}


def table():
    C, ratio = (axis.ravel() for axis in np.meshgrid([1e18, 3e18, 1e19, 3e19], [5.0, 10.0, 20.0, 40.0]))
    N = np.sqrt(C / 6.0 / ratio)
    D = C / 6.0 / N
    noise = np.random.default_rng(0).standard_normal(16)
    return {"N": N, "D": D, "loss": LAW(N=N, D=D) * np.exp(0.003 * noise)}


def study():
    once = table()
    both = {name: np.tile(column, 2) for name, column in once.items()}
    both["loss"][16:] *= 0.99
    return {**both, "recipe": ["old"] * 16 + ["new"] * 16}


@pytest.fixture(scope="module")
def made():
    """What the calls start from."""
    fit = iso.fit("chinchilla", table(), objective="squared_log", starts=4)
    fit = fit.with_draws(fit.bootstrap(24, seed=0, starts=0))
    return {
        "fit": fit,
        "plan": iso.next_runs(fit, TARGET, candidates=GRID, n=2, draws=4),
        "recipes": iso.compare_recipes(study(), draws=24),
        "ratio": iso.compare_recipes(study(), draws=24, tokens_per_parameter=20),
    }


def answers(found):
    return [str(found.difference(1e22)), str(found.crossover()), str(found.compute_multiplier(1e22))]


def planned(made, **options):
    given = {"candidates": GRID, "draws": 2, "n": 2, **options}
    return iso.next_runs(made["fit"], given.pop("target", TARGET), **given)


CALLS = {
    "difference(C)": lambda made, x: made["recipes"].difference(x),
    "difference(C) at a ratio": lambda made, x: made["ratio"].difference(x),
    "difference(recipe=)": lambda made, x: made["recipes"].difference(1e21, recipe=x),
    "difference(level=)": lambda made, x: made["recipes"].difference(1e21, level=x),
    "compute_multiplier(C)": lambda made, x: made["recipes"].compute_multiplier(x),
    "compute_multiplier(C) at a ratio": lambda made, x: made["ratio"].compute_multiplier(x),
    "crossover(before=)": lambda made, x: made["recipes"].crossover(before=x),
    **{
        f"compare_recipes({name}=)": lambda made, x, name=name: answers(
            iso.compare_recipes(study(), **{"draws": 2, name: x})
        )
        for name in ("by", "share", "base", "at", "flops", "tokens_per_parameter", "draws", "seed")
    },
    "read(labels=)": lambda made, x: iso.read(study(), labels=x),
    "a cell of a label": lambda made, x: iso.read({**table(), "corpus": ["a"] * 15 + [x]}, labels="corpus"),
    **{
        f"next_runs({name}=)": lambda made, x, name=name: planned(made, **{name: x})
        for name in ("target", "candidates", "budget", "n", "robust_to", "draws", "seed")
    },
    "next_runs(fit)": lambda made, x: iso.next_runs(x, TARGET, candidates=GRID),
    "grid(N=)": lambda made, x: planned(made, candidates=iso.grid(N=x, D=[1e10])),
    "grid(tpp=)": lambda made, x: planned(made, candidates=iso.grid(N=[1e9], tpp=x)),
    "grid(cost=)": lambda made, x: planned(made, candidates=iso.grid(N=[1e9], D=[1e10], cost=x)),
    "grid(cost=function)": lambda made, x: planned(made, candidates=iso.grid(N=[1e9], D=[1e10], cost=lambda N, D: x)),
    "Target.allocation": lambda made, x: planned(made, target=iso.Target.allocation(C=x)),
    "Target.loss": lambda made, x: planned(made, target=iso.Target.loss(N=x, D=1e12)),
    "Target.parameter": lambda made, x: planned(made, target=iso.Target.parameter(x)),
    "Target(kind=)": lambda made, x: iso.Target(kind=x, at={"C": 1e22}),
    "Target(at=)": lambda made, x: planned(made, target=iso.Target(kind="loss", at=x)),
    "score_design(plan)": lambda made, x: iso.score_design(x),
    **{
        f"score_design({name}=)": lambda made, x, name=name: iso.score_design(
            made["plan"], **{"studies": 2, "draws": 2, name: x}
        )
        for name in ("truths", "level", "seed")
    },
    **{
        f"Transformer({name}=)": lambda made, x, name=name: made["fit"].allocate(
            C=1e21, flops=iso.Transformer(**{**TRANSFORMER, name: x})
        )
        for name in iso.Transformer.__dataclass_fields__
        if name not in ("aspect", "gated", "tied")
    },
    "Transformer.per_token": lambda made, x: iso.Transformer(**TRANSFORMER).per_token(x),
    "allocate(C=)": lambda made, x: made["fit"].allocate(C=x, flops=iso.Transformer(**TRANSFORMER)),
    "allocate(flops=function)": lambda made, x: made["fit"].allocate(C=1e21, flops=lambda N: x),
    "allocate(inference_tokens=)": lambda made, x: made["fit"].allocate(C=1e21, inference_tokens=x),
    "reproduce(seq_len=)": lambda made, x: made["fit"].reproduce(table(), seq_len=x),
    "checklist()[key]": lambda made, x: made["fit"].checklist()[x],
}


@pytest.mark.parametrize("name", CALLS)
def test_any_value_of_an_argument_gives_a_result_or_a_code(name, made):
    said = set()
    for odd in ODD:
        if odd is np.ma.masked and name in ("grid(N=)", "grid(tpp=)"):
            continue  # NumPy's own warning that it becomes NaN, which is refused
        code, found = coded(lambda odd=odd: CALLS[name](made, odd))
        said.add(code)
        if not code:
            assert str(found)
            assert repr(found)
    assert said - {""}


def test_serving_that_takes_all_compute_is_refused(made):
    """Once the answer was a negative number of tokens, with a notice on the end of the range."""
    assert made["fit"].allocate(C=1e21, inference_tokens=1e12).D > 0.0
    for flops in ("6ND", iso.Transformer(**TRANSFORMER)):
        with pytest.raises(OptionError, match=r"C=1e\+21 does not pay for serving 1e\+30 tokens") as caught:
            made["fit"].allocate(C=[1e60, 1e21], inference_tokens=1e30, flops=flops)
        assert caught.value.code == "budget-too-small"


def test_a_multiplier_at_the_end_of_the_range_of_doubles_is_told(made):
    """Once it was `none`: a hundred times the budget overflowed."""
    factor = [made["recipes"].compute_multiplier(C).factor[0] for C in (1e290, 1.7e308)]
    assert factor[0] < 1.0
    assert factor[1] == pytest.approx(factor[0], rel=0.05)


@pytest.mark.parametrize("path", ["a\0b", "\ud800", 7, None, b"x", ""])
def test_paths_that_are_none_are_refused(made, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for write in (made["fit"].save, made["plan"].save, made["recipes"].save, made["fit"].report):
        with pytest.raises((OutputError, OptionError)) as caught:
            write(path)
        assert caught.value.code in ("file-unwritable", "option")
        assert caught.value.code == "option" or str(caught.value).isprintable()
    with pytest.raises((DataError, OptionError)) as caught:
        iso.load(path)
    assert caught.value.code in ("data-unreadable", "option")
    assert not list(tmp_path.iterdir())


def test_the_commands_refuse_paths_that_are_none(made, tmp_path, capsys):
    made["fit"].save(tmp_path / "fit.json")
    for line in (["report", str(tmp_path / "fit.json"), "--html", "a\0b"], ["rerun", "a\0b"], ["checklist", "\ud800"]):
        assert main(line) in (1, 2)
        said = capsys.readouterr()
        assert said.err.startswith("isoloss: error [")
        assert said.err.count("\n") == 1
