"""What is handed to others: does a fit repeat, the checklist, the page. Journey J8."""

import copy
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import isoloss as iso
from isoloss.cli import main
from isoloss.errors import DataError, OptionError
from isoloss.report.answers import checklist
from isoloss.report.holdout import holdout
from isoloss.store import from_plain

ROLES = {"N": "params", "D": "tokens", "loss": "val_loss", "group": "run_id"}


def table(n=36, seed=0):
    rng = np.random.default_rng(seed)
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e9, 1e12, 6)))
    truth = iso.laws.get("chinchilla").bind("besiroglu2024")
    loss = truth(N=N, D=D) * np.exp(0.003 * rng.standard_normal(36))
    return {"params": N[:n], "tokens": D[:n], "val_loss": loss[:n], "run_id": np.arange(n) // 2}


def write(path, columns):
    rows = [
        ",".join(columns),
        *(",".join(map(repr, row)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)),
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with runs.csv and the fit of it with draws, as a colleague gets it."""
    made = tmp_path_factory.mktemp("handed_on")
    runs = iso.read(write(made / "runs.csv", table()), **ROLES)
    fit = iso.fit("chinchilla", runs, objective="squared_log", seed=1)
    fit.with_draws(fit.bootstrap(40, seed=2)).save(made / "fit.json")
    return made


@pytest.fixture(scope="module")
def fit(folder):
    return iso.load(folder / "fit.json")


# Whether it repeats ---------------------------------------------------------------------------------------------------


def test_a_fit_repeats_from_the_file_it_was_made_from(folder, fit):
    for found in (fit.reproduce(folder / "runs.csv"), fit.reproduce(), fit.reproduce(fit.runs), fit.reproduce(table())):
        assert found.same
        assert (found.data, found.made_by, found.results, found.not_repeated) == ((), (), (), ())
    assert found.compared > 60
    assert found.fit.draws.conf_int() == fit.draws.conf_int()


def test_one_changed_loss_is_found_and_so_is_all_that_follows(fit):
    changed = table()
    before, changed["val_loss"][7] = changed["val_loss"][7], 3.25
    found = fit.reproduce(changed)
    assert not found.same
    assert [change.what for change in found.data] == ["SHA-256", "column loss"]
    assert found.data[1].new == f"1 of 36 values differ, the first in row 7: {float(before)!r} -> 3.25"
    new = {change.what: change.new for change in found.results}
    old = {change.what: change.old for change in found.results}
    assert {f"params.{name}" for name in fit.names} <= set(new)
    assert old["params.alpha"] == fit.params["alpha"]
    again = iso.fit("chinchilla", iso.read(changed, **ROLES), objective="squared_log", seed=1)
    assert new["params.alpha"] == again.params["alpha"]
    assert new["value"] == again.value
    assert {"cov", "draws.params", "draws.value"} <= set(new)
    assert str(found).startswith(f"DIFFERENT: {len(found.results)} of {found.compared} stored results\n")


def test_rows_groups_and_columns_are_compared(fit):
    fewer = {name: column[:-1] for name, column in table().items()}
    changes = {change.what: change for change in fit.reproduce(fewer).data}
    assert (changes["rows"].old, changes["rows"].new) == (36, 35)
    regrouped = {**table(), "run_id": np.arange(36) // 3}
    assert fit.reproduce(regrouped).data[-1].what == "groups"
    further = {**table(), "lr": np.full(36, 1e-3)}
    assert [(c.what, c.old, c.new) for c in fit.reproduce(further).data[1:]] == [("column lr", "absent", "there")]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("result", "params", "alpha"), 0.123),
        (("result", "value"), 1.0),
        (("result", "status"), "max_iterations"),
        (("result", "basins", "failed"), 5),
        (("draws", "params", 3, 1), 7.0),
        (("draws", "index", 3), 1),
        (("result", "stderr", "beta"), 0.5),
    ],
)
def test_whatever_is_stored_otherwise_is_found(fit, path, value):
    stored = copy.deepcopy(fit.to_dict())
    part = stored
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    found = from_plain(stored).reproduce()
    if path[1] == "stderr":  # made of the covariance, whatever the file says
        assert found.same
        return
    assert not found.same
    assert not found.data
    expected = ".".join(str(step) for step in path if step != "result" and not isinstance(step, int))
    assert expected in {change.what for change in found.results}


def test_wall_time_is_no_result(fit):
    stored = fit.to_dict()
    stored["result"]["seconds"] = 1e4
    assert from_plain(stored).reproduce().same


def test_other_versions_are_told_and_are_no_difference(fit, tmp_path):
    stored = copy.deepcopy(fit.to_dict())
    stored["made_by"] = {"isoloss": "0.0.1", "numpy": np.__version__, "simd": "sse9"}
    other = from_plain(stored)
    other.save(tmp_path / "other.json")  # a file that is loaded and saved still says who fitted it
    other = iso.load(tmp_path / "other.json")
    assert other.made_by == stored["made_by"]
    found = other.reproduce()
    assert found.same
    assert [(c.what, c.old) for c in found.made_by] == [("isoloss", "0.0.1"), ("SIMD level", "sse9")]
    assert "isoloss: 0.0.1 -> " in str(found)
    del stored["made_by"]
    assert {change.old for change in from_plain(stored).reproduce().made_by} == {"not stored"}


def test_the_file_says_who_fitted_it(folder):
    stored = json.loads((folder / "fit.json").read_text())
    assert stored["made_by"] == iso.config.made_by()
    assert stored["runs"]["source"]["options"] == ROLES


def test_everything_said_on_reading_is_said_again(tmp_path):
    columns = {**table(), "schedule": np.arange(36) % 4, "gbs": np.full(36, 256.0), "w": np.linspace(0.5, 1.5, 36)}
    path = write(tmp_path / "runs.csv", columns)
    options = {**ROLES, "batch": "gbs", "batch_unit": "sequences", "seq_len": 2048, "weights": "w", "n_counts": "total"}
    runs = iso.read(path, where={"schedule": {0, 1, 2}}, **options)
    assert len(runs) == 27
    made = iso.fit("chinchilla", runs, objective="squared_log")
    made.save(tmp_path / "fit.json")
    back = iso.load(tmp_path / "fit.json")
    found = back.reproduce(path)
    assert found.same
    assert found.fit.runs.n_counts == "total"
    assert not back.reproduce(path, weights="schedule").same


def test_labels_are_data(tmp_path):
    columns = {**table(), "recipe": np.array(["old", "new"] * 18)}
    runs = iso.read(columns, labels=["recipe"], **ROLES)
    made = iso.fit("chinchilla", runs, objective="squared_log")
    made.save(tmp_path / "fit.json")
    back = iso.load(tmp_path / "fit.json")
    assert back.reproduce(columns).same
    columns["recipe"] = np.array(["old", "newer"] * 18)
    assert [str(change) for change in back.reproduce(columns).data] == ["column recipe: old, new -> old, newer"]


def test_rows_chosen_after_reading_are_chosen_again(tmp_path):
    path = write(tmp_path / "runs.csv", table())
    runs = iso.read(path, **ROLES).where(N=(5e7, 1e10)).where(D=(1e9, 5e11))
    assert len(runs) < 30
    made = iso.fit("chinchilla", runs, objective="squared_log")
    made.save(tmp_path / "fit.json")
    back = iso.load(tmp_path / "fit.json")
    assert [dropped.later for dropped in back.runs.dropped] == [True, True]
    assert back.reproduce(path).same
    shorter = {name: column[:-1] for name, column in table().items()}
    with pytest.raises(DataError, match=r"chose among 36 runs by their rows \(not where N = .*there are 35") as caught:
        back.reproduce(shorter)
    assert caught.value.code == "data-shape"


def test_weights_given_to_the_fit_are_used_again():
    made = iso.fit("chinchilla", iso.read(table(), **ROLES), objective="squared_log", weights=np.linspace(0.0, 1.0, 36))
    assert made.reproduce(table()).same
    with pytest.raises(DataError, match="weights for 36 runs, and there are 35"):
        made.reproduce({name: column[:-1] for name, column in table().items()})


@pytest.mark.parametrize(
    "options",
    [
        {"method": "case", "by": "row"},
        {"method": "jackknife"},
        {"starts": 0},
        {"starts": 6},
        {"studentize": True},
        {"method": "parametric"},
    ],
)
def test_draws_of_every_kind_repeat(options):
    made = iso.fit("chinchilla", iso.read(table(), **ROLES), objective="squared_log")
    found = made.with_draws(made.bootstrap(15, seed=9, **options)).reproduce()
    assert found.same, str(found)


def test_draws_that_cannot_be_repeated_are_named():
    columns = table()
    del columns["run_id"]
    made = iso.fit("chinchilla", iso.read(columns, N="params", D="tokens", loss="val_loss"), objective="squared_log")
    found = made.with_draws(made.bootstrap(15, method="seed-noise", noise=0.003)).reproduce()
    assert not found.same
    assert not found.results
    assert found.not_repeated == ("the draws: the noise that was given for method 'seed-noise' is not stored",)
    assert str(found).startswith("DIFFERENT, though the ")


def test_fits_of_curves_repeat_on_their_own_curves(tmp_path):
    curves = iso.read_curves(iso.simulate.curves(["cosine", "constant"], steps=4_000))
    made = iso.fit("annealing", curves)
    made.with_draws(made.bootstrap(20, seed=1)).save(tmp_path / "fit.json")
    back = iso.load(tmp_path / "fit.json")
    assert back.reproduce().same
    with pytest.raises(OptionError, match="loss curves"):
        back.reproduce(table())
    assert back.checklist()["models"].answer == "2 training runs"
    back.report(tmp_path / "curves.html")
    assert "tested on whole curves" in (tmp_path / "curves.html").read_text()


def test_what_cannot_be_read_is_refused(fit):
    with pytest.raises(OptionError, match="loss: say how to read a source"):
        fit.reproduce(loss="val_loss")
    with pytest.raises(DataError) as caught:
        fit.reproduce({name: column for name, column in table().items() if name != "val_loss"})
    assert caught.value.code == "data-missing-column"
    renamed = {("loss2" if name == "val_loss" else name): column for name, column in table().items()}
    assert fit.reproduce(renamed, loss="loss2").same
    stored = fit.to_dict()
    stored["runs"]["source"]["options"] = None
    with pytest.raises(OptionError, match="does not say how its data were read"):
        from_plain(stored).reproduce(table())
    assert from_plain(stored).reproduce(table(), **ROLES).same
    stored["runs"]["source"]["options"] = {"source": "elsewhere.csv"}
    with pytest.raises(OptionError, match="cannot be read so"):
        from_plain(stored).reproduce(table())


def test_a_law_with_inner_tables_is_rerun_on_its_own_data_alone(tmp_path):
    from isoloss.inner import Inner

    law = iso.law("E + A * sum_over(k, k.lr)**-a + 0 * N", positive=["E", "A"], bounds={"a": (0, 2)})
    rng = np.random.default_rng(0)
    sums = Inner({"lr": rng.uniform(1.0, 2.0, 60)}, first=np.zeros(12, dtype=int), last=np.arange(5, 65, 5))
    loss = 2.0 + 1.5 / np.arange(5, 65, 5) ** 0.5
    made = iso.fit(law, iso.read({"N": np.ones(12), "loss": loss}).with_inner(k=sums))
    assert made.reproduce().same
    made.report(tmp_path / "inner.html")
    text = (tmp_path / "inner.html").read_text()
    assert "predicts along a schedule or an inner table" in text
    assert "times the typical run" in text  # influence looks at the row itself, with its stretch of the table
    with pytest.raises(OptionError, match="sums over inner tables"):
        made.reproduce({"N": np.ones(12), "loss": loss})


# The checklist --------------------------------------------------------------------------------------------------------


def test_the_checklist_answers_from_the_record(fit):
    made = fit.checklist()
    assert made["form"].answer == "L = E + A / N**alpha + B / D**beta (chinchilla)"
    assert made["models"].answer == "18 groups, by the column 'run_id'"
    assert made["points"].answer == "36"
    assert "N 10.0M .. 10.0B" in made["range"].answer
    assert made["flops"].answer == "C = 6 N D"
    assert "squared" in made["objective"].answer
    assert "seed 1" in made["starts"].answer
    assert made["seeds"].answer == "fit 1, draws 2"
    low, high = fit.draws.conf_int()["alpha"]
    assert f"alpha [{low:.4g}, {high:.4g}]" in made["uncertainty"].answer
    assert "40 wild draws of 18 units, by group" in made["uncertainty"].answer
    assert fit.runs.source.sha256 in made["data"].answer
    assert "runs.csv" in made["data"].answer


def test_nothing_is_made_up(fit):
    made = fit.checklist()
    keys = {item.key for item in made.open}
    assert keys >= {
        "purpose",
        "architecture",
        "corpus",
        "hyperparameters",
        "released",
        "metric",
        "modified",
        "validation",
    }
    assert made["metric"].known.startswith("loss from the column 'val_loss'")
    assert made["n_counts"] in made.open  # the column is called params
    assert made["checkpoints"].known == "36 rows in 18 groups"
    bare = iso.fit(
        "E + A / N**alpha", {"N": np.geomspace(1e7, 1e9, 9), "loss": 2 + 9 / np.geomspace(1e7, 1e9, 9) ** 0.2}
    )
    assert {"origin", "models", "flops", "range"} & {item.key for item in bare.checklist().open} == {
        "origin",
        "models",
        "flops",
    }


def test_the_checklist_tells_what_was_done_to_the_runs():
    columns = {**table(), "w": np.r_[np.zeros(3), np.ones(33)]}
    columns["val_loss"][5] = np.nan
    runs = iso.read({**columns, "params_non_embedding": columns["params"]}, drop_invalid=True, weights="w",
                    **{**ROLES, "N": "params_non_embedding"})  # fmt: skip
    made = iso.fit("chinchilla", runs, objective="huber_log", delta="auto", fix={"E": 1.8}, tie={"beta": "alpha"})
    said = made.checklist()
    assert said["dropped"].answer.startswith("1 (")
    assert said["weights"].answer.startswith("weight from the column 'w'")
    assert said["points"].answer == "32, and 3 more of weight zero"
    assert said["parameters"].answer == "3 (A, alpha, B); E fixed at 1.8; beta equal to alpha"
    assert said["n_counts"].answer == "non-embedding"
    assert said["objective"].answer.endswith("delta from the residuals (auto)")


def test_the_checklist_tells_how_well_the_law_fits_and_every_doubt(fit):
    made = fit.checklist()
    shown = next(line for line in fit.summary().splitlines() if line.startswith("fit quality"))
    assert made["quality"].answer == shown.removeprefix("fit quality").strip()
    columns = table()
    twice = {name: np.concatenate([column, column[:3]]) for name, column in columns.items()}
    doubts = iso.fit("chinchilla", iso.read(twice, **ROLES)).checklist()["doubts"].answer
    assert "3 of 39 rows repeat another row" in doubts  # a warning, if no serious one


def test_the_page_tells_a_fact_about_the_runs_with_the_runs_and_in_the_summary_only(tmp_path):
    columns = table()
    twice = {name: np.concatenate([column, column[:3]]) for name, column in columns.items()}
    path = tmp_path / "report.html"
    iso.fit("chinchilla", iso.read(twice, **ROLES)).report(path)
    page = path.read_text().split("Reporting checklist")[0]
    assert page.count("3 of 39 rows repeat") == 2


def test_checklists_print_and_are_found_by_key(fit):
    made = fit.checklist()
    with pytest.raises(OptionError, match="no item 'corpse'; did you mean 'corpus'"):
        made["corpse"]
    text = made.to_markdown()
    ticks = re.findall(r"^- \[(.)\]", text, re.MULTILINE)
    assert ticks.count("x") == len(made) - len(made.open)
    assert ticks.count(" ") == len(made.open)
    assert "N\\*\\*alpha" in text  # or Markdown would set it in bold
    assert made.to_dict()["open"] == [item.key for item in made.open]
    assert checklist(fit, validation="rolled out")["validation"].answer == "rolled out"


# The rollout ----------------------------------------------------------------------------------------------------------


def test_the_rollout_is_that_of_this_very_fit():
    runs = iso.read(table(), **ROLES)
    made = iso.fit("chinchilla", runs, objective="squared_raw", fix={"E": 1.8}, weights=np.linspace(1.0, 2.0, 36))
    found = holdout(made)
    split = iso.Rollout(by="C").splits(runs)[0]
    part = iso.fit(
        "chinchilla",
        runs.where(split.train),
        objective="squared_raw",
        fix={"E": 1.8},
        weights=np.linspace(1.0, 2.0, 36)[split.train],
    )
    error = np.log(part.predict(N=runs["N"][split.test], D=runs["D"][split.test]) / runs["loss"][split.test])
    step = found.steps[0]
    assert (step.fitted, step.predicted) == (split.train.sum(), split.test.sum())
    assert step.rmse == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-12)
    assert step.bias == pytest.approx(error.mean(), rel=1e-9)
    assert step.ahead != step.rmse
    assert step.nearest > 10 * step.rmse
    assert f"{len(found.steps)} of {len(found.steps)} splits" in str(found)


def test_a_split_that_cannot_be_fitted_says_why():
    columns = table()
    kept = np.argsort(columns["params"] * columns["tokens"])[[0, 5, 12, 20, 27, 35]]
    few = {name: column[kept] for name, column in columns.items() if name != "run_id"}
    made = iso.fit("chinchilla", iso.read(few, N="params", D="tokens", loss="val_loss"))
    found = holdout(made)
    assert found.steps[0].reason
    assert np.isnan(found.steps[0].rmse)
    assert found.rows[0][3] == "-"


# The page -------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags that are closed in order, with their addresses and headings."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.headings, self.scripts = [], [], [], 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_the_page_is_whole_self_contained_and_the_same_each_time(fit, tmp_path):
    for name in ("one.html", "two.html"):
        fit.report(tmp_path / name)
    text = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert text == (tmp_path / "two.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open
    assert page.scripts == 0
    assert len(page.links) == 2
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert page.headings == [
        "Data",
        "Fit",
        "Figures",
        "Predictions",
        "Held-out runs",
        "What the fit hangs on",
        "Reporting checklist",
        "Versions and hashes",
    ]
    assert fit.runs.source.sha256 in text
    assert "a new run" in text
    assert "rollout by C" in text
    assert "times the typical run" in text


def test_the_page_depends_on_what_is_asked(fit, tmp_path):
    fit.report(tmp_path / "wide.html", level=0.99)
    assert "99 % bootstrap" in (tmp_path / "wide.html").read_text()
    with pytest.raises(OptionError, match="level"):
        fit.report(tmp_path / "no.html", level=95)
    with pytest.raises(OSError, match="nowhere"):
        fit.report(tmp_path / "nowhere" / "fit.html")
    assert not (tmp_path / "no.html").exists()


def test_fits_that_say_little_have_a_page_too(tmp_path):
    """Variables of either sign with compute besides, no optimum at all, and runs along one ray."""
    x, C = np.linspace(-3.0, 3.0, 24), np.geomspace(1e18, 1e22, 24)
    signed = iso.fit(
        iso.law("a + b*x", vars=["x"]), iso.read({"x": x, "C": C, "loss": 2 + 0.1 * x + 0.01 * np.sin(9 * x)}, x="x")
    )
    assert np.isnan(holdout(signed).steps[0].nearest)
    N = np.geomspace(1e7, 1e10, 8)
    hopeless = iso.fit("E + A * log(N - 1e12)**a", {"N": N, "loss": 2 + 9 / N**0.2})
    assert not hopeless.success
    ray = iso.fit("chinchilla", {"N": N, "D": 20 * N, "loss": 2 + 1e3 / N**0.4})
    for made, told in ((signed, "residuals"), (hopeless, "did not converge"), (ray, "design-ray")):
        made.report(tmp_path / "fit.html")
        text = (tmp_path / "fit.html").read_text()
        assert not Page(text).open
        assert told in text
        assert made.reproduce().same


def test_a_law_of_one_variable_and_hostile_names_have_a_page(tmp_path):
    N = np.geomspace(1e7, 1e9, 9)
    columns = {"<script>alert(1)</script>": N, "loss": 2 + 9 / N**0.2}
    runs = iso.read(columns, N="<script>alert(1)</script>")
    iso.fit("E + A / N**alpha", runs).report(tmp_path / "own.html")
    text = (tmp_path / "own.html").read_text()
    page = Page(text)
    assert page.scripts == 0
    assert "&lt;script&gt;" in text
    assert len(page.links) == 1  # residuals; no compute, no contours
    assert "No draws are attached" in text


# The command line -----------------------------------------------------------------------------------------------------


def test_journey_eight_as_it_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    columns = table()
    write(tmp_path / "runs.csv", dict(zip(("N", "D", "loss", "group"), columns.values(), strict=True)))
    words = "fit runs.csv --law chinchilla --objective huber_log --bootstrap run:400 --seed 0 -o fit.json"
    assert main(words.split()) == 0
    assert main(["report", "fit.json", "--html", "report.html"]) == 0
    assert Page((tmp_path / "report.html").read_text()).headings[0] == "Data"
    capsys.readouterr()
    assert main(["checklist", "fit.json", "--md"]) == 0
    assert capsys.readouterr().out == iso.load("fit.json").checklist().to_markdown()
    assert main(["checklist", "fit.json", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == len(iso.load("fit.json").checklist())
    assert main(["predict", "fit.json", "--at", "N=70e9,D=1.4e12", "--kind", "new-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    low, high = told["predictions"][0]["interval"]
    assert low < told["predictions"][0]["loss"] < high
    assert main(["rerun", "fit.json", "--data", "runs.csv"]) == 0
    assert capsys.readouterr().out.startswith("same: all ")
    columns["val_loss"][3] += 0.01
    write(tmp_path / "other.csv", dict(zip(("N", "D", "cross_entropy", "group"), columns.values(), strict=True)))
    assert main(["rerun", "fit.json", "--data", "other.csv", "--role", "loss=cross_entropy", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["same"] is False
    assert {change["what"] for change in told["results"]} >= {"params.E", "value", "draws.params"}


@pytest.mark.parametrize(
    ("words", "code", "match"),
    [
        ("rerun fit.json --data nowhere.csv", 2, "no such file"),
        ("rerun fit.json --role N=params", 2, "--data"),
        ("rerun fit.json --data runs.csv --role loss=missing", 1, "data-missing-column"),
        ("rerun nowhere.json", 2, "no such file"),
        ("checklist fit.json --md --json", 2, "two forms"),
        ("report fit.json", 2, "html"),
        ("report fit.json --html nowhere/report.html", 2, "no such directory"),
        ("report fit.json --html report.html --level 95", 2, "level"),
    ],
)
def test_commands_refuse_in_one_line(folder, monkeypatch, capsys, words, code, match):
    monkeypatch.chdir(folder)
    assert main(words.split()) == code
    told = capsys.readouterr().err
    assert match in told
    assert told.count("\n") == 1


def test_columns_and_groups_that_are_gone_are_told(fit):
    alone = {name: column for name, column in table().items() if name != "run_id"}
    found = fit.reproduce(iso.read(alone, **{role: column for role, column in ROLES.items() if role != "group"}))
    assert ("groups", "there", "none") in {(change.what, change.old, change.new) for change in found.data}
    assert found.not_repeated == ("the draws: they are of whole groups, and these runs have none",)
    further = iso.fit("chinchilla", iso.read({**table(), "lr": np.full(36, 1e-3)}, **ROLES), starts=4)
    found = further.reproduce(iso.read(table(), **ROLES))
    assert [(change.what, change.old, change.new) for change in found.data[1:]] == [("column lr", "there", "absent")]
