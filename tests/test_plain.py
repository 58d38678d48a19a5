"""Results as JSON: every `to_dict` passes a strict writer, whatever is not finite in it."""

import json
from functools import cache

import numpy as np
import pytest

import isoloss as iso
from isoloss import rules
from isoloss.plain import plain


@cache
def fitted() -> iso.Fit:
    return iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=3, seed=0)), objective="squared_log")


@cache
def flat() -> iso.Fit:
    """A fit of which one end of an interval is open: six runs hardly tell the offset, nor the amplitude."""
    N = np.geomspace(1e8, 1e9, 6)
    loss = 20.0 * N**-0.1 * np.exp([0.02, -0.02, 0.01, -0.01, 0.02, -0.02])
    return iso.fit("power_law_N", {"N": N, "loss": loss}, objective="squared_log")


@cache
def tuned() -> iso.HParamLaw:
    sweep = iso.simulate.sweep(N=[1e8, 2e8, 5e8], tokens_per_parameter=[10, 40, 160], settings=7, step=2**0.5, seed=3)
    return iso.fit_hparams(iso.read(sweep), draws=0)


RESULTS = {
    "Fit": fitted,
    "Profile with an open end": lambda: flat().profile("A"),
    "Identifiability": lambda: flat().identify(),
    "Surface": lambda: fitted().profile2("alpha", "beta"),
    "Coverage": lambda: fitted().coverage(4, draws=39),
    "Prediction": lambda: fitted().with_draws(fitted().bootstrap(50)).predict(N=[1e9, 2e9], D=2e10, level=0.9),
    "Allocation": lambda: fitted().allocate(C=[1e21, 1e22]),
    "Regret": lambda: fitted().allocate(C=1e21).regret(N=1e9),
    "Decisions": lambda: fitted().decisions(C=1e21),
    "Comparison": lambda: iso.compare(fitted().runs, ["chinchilla"], split=iso.Rollout(by="N"), draws=0),
    "Search": lambda: iso.search(fitted(), {"N": np.geomspace(1e8, 1e10, 5), "D": [1e10]}, top=2, within=0.1),
    "Law": lambda: fitted().law,
    "Rule": lambda: rules.get("gradient_noise"),
    "HParamLaw": tuned,
    "HParams": lambda: tuned().predict(N=1e9, D=1e11),
    "Alternatives": lambda: tuned().alternatives(N=1e9, D=1e11),
    "HParamPlateau": lambda: tuned().plateau(N=1e9, D=1e11),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_strict_json(name: str) -> None:
    told = RESULTS[name]()
    assert json.loads(json.dumps(told.to_dict(), allow_nan=False))


def test_an_open_end_is_null() -> None:
    interval = flat().profile("A").interval
    assert interval is not None
    assert not all(np.isfinite(interval))
    assert None in flat().profile("A").to_dict()["interval"]


def test_numpy_is_undone() -> None:
    given = {"a": np.float32(0.5), "b": np.array([1, 2]), "c": np.bool_(True), "d": (np.inf, np.nan), "e": None}
    assert plain(given) == {"a": 0.5, "b": [1, 2], "c": True, "d": [None, None], "e": None}
    assert [type(item) for item in plain(given).values()] == [float, list, bool, list, type(None)]
