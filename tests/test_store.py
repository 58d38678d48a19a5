"""Saved fits: the same bits back, and refusals of files that are not what was written."""

import json
import math
import pickle

import numpy as np
import pytest

import isoloss as iso
from isoloss.errors import DataError
from isoloss.store import from_plain

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1500.0, "beta": 0.36}


def make(**options):
    rng = np.random.default_rng(0)
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e9, 1e12, 6)))
    loss = iso.laws.get("chinchilla").bind(TRUTH)(N=N, D=D) * np.exp(0.01 * rng.standard_normal(36))
    runs = iso.read({"N": N, "D": D, "loss": loss, "run": np.arange(36) // 2}, group="run")
    return iso.fit("chinchilla", runs, **{"objective": "squared_log", **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"starts": 9, "seed": 3},
        {"starts": {"alpha": [0.2, 0.4]}, "objective": iso.Huber(1e-6)},
        {"starts": [list(TRUTH.values())], "fix": {"E": 1.69}, "tie": {"beta": "alpha"}},
        {"bounds": {"alpha": (0.0, 0.3), "E": (None, "min_loss")}, "weights": np.linspace(0.0, 1.0, 36)},
        {"objective": "absolute_raw"},
    ],
)
def test_everything_comes_back_bit_for_bit(tmp_path, options):
    fit = make(**options)
    path = tmp_path / "fit.json"
    fit.save(path)
    back = iso.load(path)
    assert back.params == fit.params
    assert back.value == fit.value
    assert back.status is fit.status
    assert back.basins == fit.basins
    assert back.warnings == fit.warnings
    assert back.runs == fit.runs
    assert back.law == fit.law
    assert back.objective == fit.objective
    assert back.cov_reason == fit.cov_reason
    if fit.cov is None:
        assert back.cov is None
    else:
        np.testing.assert_array_equal(back.cov, fit.cov)
    assert back.summary() == fit.summary()
    assert back.predict(N=1e9, D=1e11) == fit.predict(N=1e9, D=1e11)
    again = back.rerun()
    assert again.params == fit.params
    assert again.value == fit.value
    assert np.array_equal(back.bootstrap(20, seed=5).params, fit.bootstrap(20, seed=5).params)


def test_draws_are_stored_when_asked_for(tmp_path):
    fit = make()
    draws = fit.bootstrap(60, seed=2)
    fit.save(tmp_path / "plain.json")
    assert iso.load(tmp_path / "plain.json").draws is None
    fit.save(tmp_path / "with.json", draws=draws)
    back = iso.load(tmp_path / "with.json")
    assert np.array_equal(back.draws.params, draws.params)
    assert back.draws.conf_int() == draws.conf_int()
    assert back.draws.summary() == draws.summary()
    assert back.allocate(C=1e22).intervals == fit.allocate(C=1e22, draws=draws).intervals
    back.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "with.json").read_text()


def test_laws_of_ones_own_are_stored_whole(tmp_path):
    law = iso.law(
        "E + A * (N/N0)**-alpha", positive=["E", "A"], bounds={"E": (0, "min_loss")}, pivots={"N0": "geomean"}
    )
    fit = iso.fit(law, make().runs)
    fit.save(tmp_path / "own.json")
    back = iso.load(tmp_path / "own.json")
    assert back.law == law
    assert back.predict(N=1e9) == fit.predict(N=1e9)


def test_the_file_is_strict_json_with_its_schema(tmp_path):
    path = tmp_path / "fit.json"
    make(bounds={"alpha": (0.0, 0.3)}).save(path)  # a parameter at its bound has NaN in the covariance

    def refuse(token):
        raise AssertionError(token)

    data = json.loads(path.read_text(), parse_constant=refuse)
    assert data["schema"] == "isoloss.fit"
    assert data["made_by"]["isoloss"] == iso.__version__
    assert set(data) >= {"version", "law", "runs", "settings", "result", "draws", "sha256"}
    assert math.isnan(iso.load(path).stderr["alpha"])


def test_to_dict_is_what_is_saved(tmp_path):
    fit = make()
    fit.save(tmp_path / "fit.json")
    stored = json.loads((tmp_path / "fit.json").read_text())
    del stored["sha256"]
    assert stored == json.loads(json.dumps(fit.to_dict()))
    assert from_plain(fit.to_dict()).params == fit.params


def refused(path, text):
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        iso.load(path)
    assert caught.value.code == "file-schema"
    return str(caught.value)


def test_truncated_altered_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "fit.json"
    make().save(path)
    text = path.read_text()
    for length in (0, 1, len(text) // 2, len(text) - 3):
        assert "truncated" in refused(tmp_path / "cut.json", text[:length])
    data = json.loads(text)
    data["result"]["params"]["alpha"] += 1e-9
    assert "altered" in refused(tmp_path / "altered.json", json.dumps(data))
    assert "no saved result" in refused(tmp_path / "foreign.json", '{"a": 1}')
    assert "no saved result" in refused(tmp_path / "list.json", "[1, 2]")
    later = {**json.loads(text), "version": 99}
    assert "version 99" in refused(tmp_path / "later.json", json.dumps(later))


@pytest.mark.parametrize("part", ["law", "runs", "settings", "result", "draws"])
def test_files_that_lack_a_part_are_refused_even_without_a_checksum(tmp_path, part):
    data = json.loads(json.dumps(make().to_dict()))
    del data[part]
    refused(tmp_path / "fit.json", json.dumps(data))
    if part != "draws":
        data[part] = {"nonsense": 1}
        refused(tmp_path / "fit.json", json.dumps({**data, "draws": None}))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DataError, match="does not exist") as caught:
        iso.load(tmp_path / "nosuch.json")
    assert caught.value.code == "data-unreadable"


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "fit.json"
    fit = make()
    fit.save(path)
    before = path.read_text()

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        fit.save(path)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["fit.json"]


def test_permissions_of_a_replaced_file_are_kept(tmp_path):
    path = tmp_path / "fit.json"
    fit = make()
    fit.save(path)
    assert path.stat().st_mode & 0o400
    path.chmod(0o640)
    fit.save(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_fits_draws_and_tables_can_be_pickled():
    fit = make()
    again = pickle.loads(pickle.dumps(fit.with_draws(fit.bootstrap(10))))
    assert again.params == fit.params
    assert np.array_equal(again.draws.params, fit.bootstrap(10).params)
    assert np.array_equal(pickle.loads(pickle.dumps(again.draws)).params, again.draws.params)
    table = iso.fit_many("power_law_N", {"N": [1e7, 1e8, 1e9, 1e10]}, [4.0, 3.0, 2.5, 2.3])
    assert np.array_equal(pickle.loads(pickle.dumps(table)).params, table.params)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"recipe": "steplaw", "threshold": "1%", "batch_on": "D"},
        {"threshold": 0.02, "asymmetric": False, "objective": iso.SquaredError(), "seed": 5, "draws": 0},
        {"threshold": 0.02, "recipe": "within", "diverged": 0.1, "tolerance": 0.05},
    ],
)
def test_laws_of_hyperparameters_come_back_bit_for_bit(tmp_path, options):
    runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160], noise=2e-3, seed=1))
    hp = iso.fit_hparams(runs, **{"draws": 40, **options})
    path = tmp_path / "hp.json"
    hp.save(path)
    back = iso.load(path)
    assert back.settings == hp.settings
    assert back.summary() == hp.summary()
    assert json.dumps(back.to_dict()) == json.dumps(hp.to_dict())
    assert back.scores == hp.scores
    assert str(back.convexity()) == str(hp.convexity())
    at = {"N": 7e9, "D": 1.4e12}
    again = back.rerun()
    for law in (back, again, pickle.loads(pickle.dumps(hp))):
        np.testing.assert_array_equal(law.powers.draws, hp.powers.draws)
        np.testing.assert_array_equal(law.joint.draws.values, hp.joint.draws.values)
        np.testing.assert_array_equal(law.between.covariance, hp.between.covariance)
        for ask in ("predict", "plateau", "critical_batch"):
            assert str(getattr(law, ask)(**at)) == str(getattr(hp, ask)(**at))
        assert str(law.regret(1e-3, 1e6, **at)) == str(hp.regret(1e-3, 1e6, **at))
    back.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == path.read_text()


def test_a_law_of_hyperparameters_that_was_altered_or_lacks_a_part_is_refused(tmp_path):
    runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
    iso.fit_hparams(runs, draws=5, threshold=0.02).save(tmp_path / "hp.json")
    data = json.loads((tmp_path / "hp.json").read_text())
    data["result"]["joint"]["values"][1] += 1e-9
    assert "altered" in refused(tmp_path / "altered.json", json.dumps(data))
    del data["sha256"]
    for part in ("runs", "settings", "result"):
        rest = {name: item for name, item in data.items() if name != part}
        refused(tmp_path / "part.json", json.dumps(rest))
    refused(tmp_path / "other.json", json.dumps({**data, "result": {**data["result"], "joint": {}}}))
