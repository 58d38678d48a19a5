"""Parts of results that no other test meets: tables, copies, and what is told when something is cut short."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import isoloss as iso
from isoloss import writing
from isoloss.errors import OutputError
from isoloss.inner import Inner
from isoloss.stats.coverage import Coverage

INNER = Inner({"x": [1.0, 2.0, 3.0]}, first=[0, 0], last=[1, 3])


@pytest.fixture(scope="module")
def fit():
    return iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, noise=0.002, seed=0)), starts=4)


@pytest.fixture(scope="module")
def hp():
    table = iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40], settings=7, seed=3)
    return iso.fit_hparams(iso.read(table), draws=0, threshold=0.01)


def test_inner_tables_are_constants():
    assert INNER.pairs == 4
    again = pickle.loads(pickle.dumps(INNER))
    assert again == INNER
    assert hash(again) == hash(INNER)
    assert {again: 1}[INNER] == 1
    assert copy.copy(INNER.table) == INNER.table
    for part in (INNER, INNER.table):
        with pytest.raises(AttributeError, match="read-only"):
            part.first = np.zeros(2)


def test_a_study_of_coverage_is_read_back(fit):
    made = fit.coverage(3, draws=39)
    again = Coverage.from_dict(made.to_dict())
    assert str(again) == str(made)
    name = made.rows[0].interval
    assert again[name].covered == pytest.approx(made[name].covered, nan_ok=True)


def test_what_was_left_out_makes_a_table(fit):
    left = iso.diagnostics.influence(fit, by="N")
    table = left.table
    assert list(table)[:2] == ["left_out", "influence"]
    assert set(fit.params) <= set(table)
    assert {len(column) for column in table.values()} == {len(np.unique(fit.runs["N"]))}


def test_cells_left_out_cost_least_in_the_mean_and_most_in_the_worst(hp):
    left = hp.holdout("largest N")
    assert np.all(np.array(left.median) <= np.array(left.worst))
    assert left.to_dict()["worst"]["nearest"] == left.worst.nearest
    assert len(left.to_dict()["rows"]) == len(left.rows) == 2


def test_published_laws_beside_ones_own(hp):
    beside = hp.compare(holdout=True)
    row = beside.rows[0]
    assert beside[row.name] is row
    assert beside.to_dict()["cells"] == hp.sweep.cells
    assert beside.to_dict()["rows"][0]["mean"]["nearest"] == row.mean.nearest
    with pytest.raises(KeyError):
        beside["nobody"]


def test_a_front_is_part_of_the_plain_data(fit):
    axes = {"N": iso.geomspace(1e8, 1e10, 12), "D": iso.geomspace(1e9, 1e11, 12)}
    found = iso.search(fit, axes, pareto=("loss", "6*N*D"))
    (front,) = found.to_dict()["fronts"]
    assert len(front["N"]) == len(found.front)


def test_an_interrupted_refinement_keeps_the_cells(fit, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    axes = {"N": iso.geomspace(1e8, 1e10, 12), "D": iso.geomspace(1e9, 1e11, 12)}
    whole = iso.search(fit, axes, refine=True)
    monkeypatch.setattr("isoloss.gridsearch.search.refine_best", interrupted)
    with pytest.raises(KeyboardInterrupt):
        iso.search(fit, axes, refine=True)
    part = iso.search(fit, axes, refine=True, on_interrupt="partial")
    assert part.refined is None
    assert part.best == whole.best
    assert any("not between its cells" in notice.message for notice in part.warnings)


def test_a_write_that_is_interrupted_leaves_the_old_file_alone(fit, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    path = tmp_path / "fit.json"
    fit.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(writing.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_place_of_a_file_is_refused(fit, tmp_path):
    with pytest.raises(OutputError) as caught:
        fit.save(tmp_path)
    assert caught.value.code == "file-unwritable"


def test_draws_without_an_optimum_inside_are_counted(fit):
    draws = fit.bootstrap(40, seed=0)
    drawn = draws.params.copy()
    drawn[:4, draws.names.index("alpha")] = -0.05  # a tenth of the draws want ever larger models
    assert not fit.allocate(C=1e21, draws=draws).warnings
    (notice,) = fit.allocate(C=1e21, draws=replace(draws, params=drawn)).warnings
    assert notice.code == "allocation-unbounded"
    assert notice.details["share"] == 0.1
