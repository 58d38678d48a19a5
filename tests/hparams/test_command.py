"""The command ``isoloss hparams``."""

import json
import subprocess
import sys

import numpy as np
import pytest

import isoloss as iso
from isoloss import simulate

SIZES, RATIOS = [1e8, 2e8, 5e8, 1e9], [10, 40, 160]


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "isoloss", "hparams", *map(str, words)], capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def runs_csv(tmp_path_factory, simulated):
    folder = tmp_path_factory.mktemp("hparams")
    names = ("N", "D", "lr", "batch", "loss")
    rows = zip(*(np.asarray(simulated[name]).tolist() for name in names), strict=True)
    lines = [f"{N!r},{D!r},{lr!r},{batch / 2048!r},{loss!r}" for N, D, lr, batch, loss in rows]
    (folder / "runs.csv").write_text("params,tokens,peak_lr,gbs,val\n" + "\n".join(lines) + "\n")
    (folder / "map.toml").write_text(
        'N = "params"\nD = "tokens"\nlr = "peak_lr"\nbatch = "gbs"\nloss = "val"\n'
        'batch_unit = "sequences"\nseq_len = 2048\n'
    )
    return folder / "runs.csv"


def test_the_line_of_the_journey(runs_csv, fitted):
    done = command(
        runs_csv,
        "--map",
        runs_csv.parent / "map.toml",
        "--at",
        "7e9,1.4e12",
        "--within",
        "0.2%",
        "--draws",
        200,
        "--json",
    )
    assert (done.returncode, done.stderr) == (0, "")
    (answer,) = json.loads(done.stdout)["answers"]
    best = fitted.predict(N=7e9, D=1.4e12)
    assert answer["predict"]["lr"] == pytest.approx(best.lr, rel=1e-6)
    assert answer["predict"]["batch_interval"] == pytest.approx(list(best.batch_interval), rel=1e-6)
    assert answer["predict"]["sequences"] == pytest.approx(best.batch / 2048, rel=1e-6)
    assert answer["plateau"]["within"] == 0.002
    saved = runs_csv.parent / "hp.json"
    text = command(
        runs_csv,
        "-o",
        saved,
        "--map",
        runs_csv.parent / "map.toml",
        "--at",
        "7B,1.4T",
        "--draws",
        20,
        "--threshold",
        "1%",
    )
    assert text.returncode == 0, text.stderr
    assert "sequences)" in text.stdout
    assert "safe" in text.stdout
    assert f"saved {saved}" in text.stdout
    again = iso.load(saved)
    assert (again.settings.draws, again.settings.threshold) == (20, 0.01)
    assert str(again.predict(N=7e9, D=1.4e12)).split("\n")[0] in text.stdout


def test_the_journey_as_written(tmp_path, monkeypatch):
    """J1, line by line; seven billion parameters, 1.4 trillion tokens."""
    table = simulate.sweep(N=SIZES, tokens_per_parameter=RATIOS, settings=7, step=2**0.5, seed=3)
    monkeypatch.chdir(tmp_path)
    columns = zip(table["N"], table["D"], table["loss"], table["lr"], table["batch"] / 4096, table["run"], strict=True)
    lines = [",".join(map(str, row)) for row in columns]
    head = "params_non_embedding,tokens_seen,val_loss,peak_lr,global_batch,run_id"
    (tmp_path / "runs.csv").write_text("\n".join([head, *lines]) + "\n")
    runs = iso.read(
        "runs.csv", N="params_non_embedding", D="tokens_seen", loss="val_loss", lr="peak_lr", batch="global_batch",
        batch_unit="sequences", seq_len=4096, group="run_id",
    )  # fmt: skip
    assert runs.check().cells == 12
    hp = iso.fit_hparams(runs)
    best = hp.predict(N=7e9, D=1.4e12)
    assert best.lr_interval[0] < best.lr < best.lr_interval[1]
    assert best.batch_interval[0] < best.batch < best.batch_interval[1]
    assert f"({best.batch / 4096:,.0f} sequences)" in str(best)
    flat = hp.plateau(N=7e9, D=1.4e12, within=0.002)
    assert flat.box.holds(best.lr, best.batch)
    assert [w.code for w in flat.warnings] == ["extrapolated"]
    assert sum(row.used for row in hp.sensitivity("threshold").rows) == 1
    pytest.importorskip("matplotlib")
    assert len(hp.plot.landscape()) == 12
    hp.report("hp.html")
    assert "Learning rate and batch size" in (tmp_path / "hp.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words",
    [
        ["--at", "7B,1.4T"],
        ["runs.csv", "--law", "porian", "--at", "7B,1.4T"],
        ["--law", "porian", "--at", "7B"],
        ["--law", "nobody", "--at", "7B,1.4T"],
        ["no-such.csv", "--at", "7B,1.4T"],
        ["--law", "minicpm", "--at", "7B,1.4T"],
        ["--law", "porian", "--at", "N=7B,tokens=1.4T"],
        ["--law", "porian", "--at", "7B,1.4T", "--within", "0.2%"],
        ["--law", "porian", "--at", "7B,1.4T", "--report", "hp.html", "--sensitivity"],
    ],
)
def test_wrong_usage_is_one_line(words):
    done = command(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("isoloss: error [")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [("N = [", "Invalid value"), ("[roles]\nN = true\n", "N is a bool, not the name of a column")],
)
def test_a_map_that_cannot_be_read_is_named(runs_csv, tmp_path, text, said):
    path = tmp_path / "map.toml"
    path.write_text(text, encoding="utf-8")
    done = command(runs_csv, "--map", path, "--at", "7B,1.4T")
    assert done.returncode == 2
    assert f"--map {path}: " in done.stderr
    assert said in done.stderr


def test_what_would_do_nothing_is_refused_by_name(runs_csv):
    done = command("--law", "steplaw", "--at", "7B,1.4T", "--recipe", "steplaw", "-o", "hp.json")
    assert "a published law knows no runs: --recipe, --output would do nothing" in done.stderr
    done = command(runs_csv, "--at", "7B,1.4T", "--loss", "2.0")
    assert "the law comes from the runs: --loss would do nothing" in done.stderr
    assert "--loss on the command line" in command("--law", "kaplan", "--at", "7B,1.4T").stderr
    assert "within='5'" in command(runs_csv, "--at", "7B,1.4T", "--within", "5").stderr


def test_batches_are_told_in_sequences_where_all_have_one_length(step):
    best = step.predict(N=1e9, D=2e10)
    assert best.sequences == pytest.approx(best.batch / 2048)
    assert str(best).split("\n")[0].endswith(f"({best.batch / 2048:,.0f} sequences)")
    table = {"N": [1e8, 1e8], "D": [2e9, 2e9], "loss": [3.0, 3.1], "gbs": [64, 64], "length": [2048, 4096]}
    mixed = iso.read(table, batch="gbs", batch_unit="sequences", seq_len="length")
    assert mixed.seq_len is None
    assert iso.read(table, batch="gbs", batch_unit="sequences", seq_len=1024).seq_len == 1024


def test_a_published_law_without_any_runs():
    done = command("--law", "porian", "--at", "1B,20B", "--json")
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)["answers"]
    assert answer["predict"]["lr"] == pytest.approx(3.7 * 1e9**-0.36)
    assert answer["predict"]["batch"] == pytest.approx(0.00037 * 1e9**0.703 * 2048)
    only_batch = command("--law", "minicpm", "--loss", "2.0", "--at", "1B,20B")
    assert "lr not given" in only_batch.stdout


def test_the_plug_and_play_calculator():
    """Table 2 of the paper gives 9.166e-4 and 4.999e6 tokens at 7B and 1.4T; its bootstrap mean another 2 %."""
    done = command("--law", "steplaw", "--at", "7B,1.4T")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "steplaw:table2 at N 7.00B, D 1.40T\nlr 9.17e-4   batch 5.00M tok\n"
    (table,) = json.loads(command("--law", "steplaw", "--at", "N=7B,D=1.4T", "--json").stdout)["answers"]
    assert table["predict"]["lr"] == pytest.approx(9.166e-4, abs=5e-8)
    assert table["predict"]["batch"] == pytest.approx(4.999e6, abs=5e2)
    (mean,) = json.loads(command("--law", "steplaw:bootstrap_mean", "--at", "7B,1.4T", "--json").stdout)["answers"]
    assert mean["predict"]["lr"] == pytest.approx(1.7973 * 7e9**-0.71292 * 1.4e12**0.30749, rel=1e-3)


def test_billions_without_their_zeros_are_told():
    done = command("--law", "steplaw", "--at", "7,1.4")
    assert done.returncode == 0
    assert "unit-doubtful" in done.stdout
    assert "unit-doubtful" not in command("--law", "steplaw", "--at", "7B,1.4T").stdout
