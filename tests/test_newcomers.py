"""What a newcomer types: each slip is refused with what to type instead, or read as it was meant."""

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import DataError, IsolossError, LawError, OptionError


@pytest.fixture(scope="module")
def sweep():
    made = iso.simulate.sweep(settings=1, seed=0)
    return {name: np.asarray(made[name]) for name in ("N", "D", "loss", "lr", "batch")}


def refused(kind, code, call, *words):
    with pytest.raises(IsolossError) as caught:
        call()
    assert (type(caught.value), caught.value.code) == (kind, code)
    for word in words:
        assert word in str(caught.value)


SLIPS = {
    "a left side": (LawError, "law-syntax", lambda d: iso.fit("L = E + A/N**a", d), "without 'L ='"),
    "ln": (LawError, "law-syntax", lambda d: iso.fit("E + A*ln(N)", d), "write log"),
    "small letters": (LawError, "law-no-variables", lambda d: iso.fit("E + A/n**a", d), "N for 'n'"),
    "a set of a law": (
        LawError,
        "law-unknown",
        lambda d: iso.fit("chinchilla:hoffmann2022", d),
        ".bind('hoffmann2022')",
    ),
    "mse": (OptionError, "objective-unknown", lambda d: iso.fit("chinchilla", d, objective="mse"), "'squared_raw'"),
    "a list to fix": (OptionError, "option", lambda d: iso.fit("chinchilla", d, fix=["E"]), "{'E': 1.69}"),
    "a list to tie": (
        OptionError,
        "option",
        lambda d: iso.fit_many("chinchilla", d, d["loss"], tie=["beta"]),
        "{'beta': 'alpha'}",
    ),
    "a role's case": (
        OptionError,
        "option",
        lambda d: iso.read({"p": d["N"], "loss": d["loss"]}, n="p"),
        "write N='p'",
    ),
    "percent": (OptionError, "option", lambda d: iso.fit("chinchilla", d).allocate(C=1e24, level=95), "level=95"),
    "a text as level": (OptionError, "option", lambda d: iso.fit("chinchilla", d).profile("E", level="0.9"), "'0.9'"),
    "a count as draws": (
        OptionError,
        "option",
        lambda d: iso.fit("chinchilla", d).allocate(C=1e24, draws=9),
        "draws=9",
    ),
    "a number as law": (OptionError, "option", lambda d: iso.compare(d, [3]), "law=3"),
    "a misspelt law": (LawError, "law-unknown", lambda d: iso.compare(d, ["chinchila"]), "'chinchilla'"),
    "a law of lr": (LawError, "law-target", lambda d: iso.fit("steplaw_lr", d), "loss='lr'"),
    "a law of sizes": (LawError, "law-target", lambda d: iso.fit("optimal_N", d), "parameters", "'loss' holds"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_slips_are_told_what_to_type(slip, sweep):
    kind, code, call, *words = SLIPS[slip]
    refused(kind, code, lambda: call(sweep), *words)


def test_a_column_of_the_data_is_not_estimated(sweep):
    data = {**sweep, "epochs": np.linspace(1.0, 4.0, len(sweep["N"]))}
    text = "E + A/N**a + B/D**b*epochs**g"
    refused(LawError, "law-column", lambda: iso.fit(text, data), "vars=['N', 'D', 'epochs']")
    refused(LawError, "law-column", lambda: iso.fit(text, iso.read(data, epochs="epochs")), "epochs")
    assert iso.fit(iso.law(text, vars=["N", "D", "epochs"]), data).success
    assert "epochs" in iso.fit(text, data, fix={"epochs": 2.0}).params


def test_a_law_of_the_learning_rate_is_fitted_to_it(sweep):
    best = iso.read(
        {"N": sweep["N"], "D": sweep["D"], "best": iso.simulate.best_lr(sweep["N"], sweep["D"])}, loss="best"
    )
    assert iso.fit("steplaw_lr", best).success


def test_a_column_nobody_asked_for_costs_no_runs(sweep):
    holed = {**sweep, "lr": np.where(np.arange(len(sweep["N"])) < 14, np.nan, sweep["lr"])}
    runs = iso.read(holed)
    assert runs.n == len(sweep["N"])
    assert "lr" not in runs.columns
    told = next(notice for notice in runs.warnings if notice.code == "column-not-taken")
    assert told.details == {"column": "lr", "cells": 14}
    assert iso.read(holed, drop_invalid=True).n == len(sweep["N"])
    with pytest.raises(DataError, match="13 more such cells in it"):
        iso.read(holed, lr="lr")
    assert iso.read(holed, lr="lr", drop_invalid=True).n == len(sweep["N"]) - 14


def test_cells_at_fault_are_counted_by_column(sweep):
    bad = {**sweep, "N": np.r_[-1.0, sweep["N"][1:]], "loss": np.r_[np.nan, np.nan, sweep["loss"][2:]]}
    with pytest.raises(
        DataError, match=r"column 'N', row 0: -1 .*; cells at fault also 2 in 'loss' \(drop_invalid=True"
    ):
        iso.read(bad)
    mixed = iso.read({**sweep, "loss": [None, "nan", *map(str, sweep["loss"][2:])]}, drop_invalid=True)
    assert [(part.count, part.reason) for part in mixed.dropped] == [(2, "loss is missing")]
