"""The command line in real processes: what goes to which stream, exit codes, files, terminals."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import isoloss as iso
from isoloss import progress, simulate

ROLES = ["--role", "N=params", "--role", "D=tokens", "--role", "loss=val_loss"]
BAR = "━"
PNG = b"\x89PNG\r\n\x1a\n"
COMMAND = [sys.executable, "-m", "isoloss"]


def piped(*arguments, cwd=None, code=None):
    """Run with pipes for both streams; `code` replaces the command by a Python program."""
    command = [sys.executable, "-c", code] if code else COMMAND
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120)


def on_terminal(*arguments, cwd=None, timeout=120.0):
    """Run on a pseudo-terminal of 120 columns; return the exit code and all that was drawn."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=cwd,
        env=environment,
        close_fds=True,
    )
    os.close(follower)
    drawn, deadline = b"", time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([leader], [], [], 0.2)
            if not ready:
                continue
            try:
                piece = os.read(leader, 65536)
            except OSError:  # Linux reports the end of a terminal as an input/output error
                break
            if not piece:
                break
            drawn += piece
        else:
            raise TimeoutError(f"isoloss {' '.join(map(str, arguments))} still runs")
        return process.wait(timeout=10), drawn.decode()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(leader)


@pytest.fixture(scope="module")
def runs_csv(tmp_path_factory):
    """Best run of each cell of a simulated sweep, under column names of a stranger."""
    table = simulate.sweep(settings=1, noise=2e-3, seed=1)
    path = tmp_path_factory.mktemp("data") / "runs.csv"
    rows = zip(table["N"], table["D"], table["loss"], table["run"] // 2, strict=True)
    path.write_text(
        "params,tokens,val_loss,machine\n"
        + "\n".join(f"{N!r},{D!r},{loss!r},m{m}" for N, D, loss, m in _floats(rows))
        + "\n"
    )
    return path


def _floats(rows):
    return ((float(N), float(D), float(loss), int(m)) for N, D, loss, m in rows)


@pytest.fixture(scope="module")
def saved_fit(runs_csv):
    path = runs_csv.with_name("fit.json")
    done = piped("fit", runs_csv, *ROLES, "-o", path)
    assert done.returncode == 0, done.stderr
    return path


# --- fit ------------------------------------------------------------------------------------------


def test_the_line_of_the_manual(runs_csv, tmp_path):
    out = tmp_path / "fit.json"
    line = (
        f"fit {runs_csv} --law chinchilla --role N=params --role D=tokens --role loss=val_loss "
        f"--objective huber_log --delta 1e-3 --bootstrap 4000 --seed 0 -o {out}"
    )
    done = piped(*line.split())
    assert done.returncode == 0
    assert done.stderr == ""
    for name in ("E", "A", "alpha", "B", "beta", "95 % bootstrap interval"):
        assert name in done.stdout
    assert "\x1b" not in done.stdout
    assert BAR not in done.stdout
    loaded = iso.load(out)
    runs = iso.read(runs_csv, N="params", D="tokens", loss="val_loss")
    expected = iso.fit("chinchilla", runs, objective=iso.Huber(1e-3, space="log"), seed=0)
    assert loaded.params == expected.params


def test_json_is_all_there_is_on_stdout_and_equals_the_library(runs_csv):
    done = piped("fit", runs_csv, *ROLES, "--objective", "squared_log", "--bootstrap", 200, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads(done.stdout)
    runs = iso.read(runs_csv, N="params", D="tokens", loss="val_loss")
    fitted = iso.fit("chinchilla", runs, objective="squared_log", seed=0)
    intervals = fitted.bootstrap(200, seed=0).conf_int(0.95)
    assert record["params"] == dict(fitted.params)
    assert record["value"] == fitted.value
    assert record["success"] is True
    assert record["bootstrap"]["intervals"] == {k: list(v) for k, v in intervals.items()}
    assert record["objective"]["space"] == "log"


def test_fix_and_tie_hold(runs_csv):
    done = piped("fit", runs_csv, *ROLES, "--fix", "E=1.69", "--tie", "beta=alpha", "--json")
    params = json.loads(done.stdout)["params"]
    assert params["E"] == 1.69
    assert params["beta"] == params["alpha"]


def test_law_as_text_with_positive_and_bounds(runs_csv):
    text = "E + A / N**alpha + B / D**beta"
    options = ["--positive", "E,A,B", "--bounds", "alpha=0:2,beta=0:2"]
    mine = json.loads(piped("fit", runs_csv, *ROLES, "--law", text, *options, "--json").stdout)
    named = json.loads(piped("fit", runs_csv, *ROLES, "--json").stdout)
    assert mine["value"] == pytest.approx(named["value"], rel=1e-6)


def test_roles_come_from_a_map(runs_csv, tmp_path):
    path = tmp_path / "map.toml"
    path.write_text('N = "params"\nD = "tokens"\nloss = "val_loss"\n')
    mapped = json.loads(piped("fit", runs_csv, "--map", path, "--json").stdout)
    named = json.loads(piped("fit", runs_csv, *ROLES, "--json").stdout)
    assert mapped["params"] == named["params"]


def test_case_and_run_resample_different_things(runs_csv):
    roles = [*ROLES, "--role", "group=machine"]
    by = {
        kind: json.loads(piped("fit", runs_csv, *roles, "--bootstrap", f"{kind}:300", "--json").stdout)["bootstrap"]
        for kind in ("case", "run")
    }
    assert by["case"]["draws"] == by["run"]["draws"] == 300
    assert by["case"]["intervals"] != by["run"]["intervals"]
    alone = iso.fit("chinchilla", iso.read(runs_csv, N="params", D="tokens", loss="val_loss"))
    same = alone.bootstrap(300, method="case", by="row", seed=0).conf_int(0.95)
    assert by["case"]["intervals"] == {name: list(ends) for name, ends in same.items()}


def test_refused_data_is_exit_1_with_its_code(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("params,tokens,val_loss\n1e8,2e9,3.0\n-5,2e9,2.9\n")
    done = piped("fit", bad, *ROLES)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("isoloss: error [data-nonpositive]: ")
    assert "params" in done.stderr
    assert "-5" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_rows_left_out_on_request_are_told(runs_csv, tmp_path):
    holed = tmp_path / "holed.csv"
    holed.write_text(runs_csv.read_text() + "nan,1e9,3.0,m1\n")
    assert piped("fit", holed, *ROLES).returncode == 1
    record = json.loads(piped("fit", holed, *ROLES, "--drop-invalid", "--json").stdout)
    whole = json.loads(piped("fit", runs_csv, *ROLES, "--json").stdout)
    (dropped,) = record["dropped"]
    assert dropped["count"] == 1
    assert dropped["rows"] == [whole["n"]]
    assert record["params"] == whole["params"]


def test_refused_data_as_json(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("params,tokens,val_loss\n1e8,nan,3.0\n")
    done = piped("fit", bad, *ROLES, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "data-nonfinite"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit"], "DATA"),
        (["fit", "runs.csv", "--rol", "N=params"], "--rol"),
        (["fit", "no-such.csv"], "no-such.csv"),
        (["fit", "runs.csv", "--role", "N"], "NAME=COLUMN"),
        (["fit", "runs.csv", "--role", "N=params", "--role", "N=tokens"], "N is given twice"),
        (["fit", "runs.csv", *ROLES, "--fix", "E=big"], "'big'"),
        (["fit", "runs.csv", *ROLES, "--fix", "gamma=1"], "gamma"),
        (["fit", "runs.csv", *ROLES, "--law", "chinchila"], "chinchilla"),
        (["fit", "runs.csv", *ROLES, "--law", "E + * A"], "E + * A"),
        (["fit", "runs.csv", *ROLES, "--objective", "hubert"], "hubert"),
        (["fit", "runs.csv", *ROLES, "--bootstrap", "0"], "--bootstrap"),
        (["fit", "runs.csv", *ROLES, "--bootstrap", "block:10"], "block:10"),
        (["fit", "runs.csv", *ROLES, "--bootstrap", "run:10"], "group=COLUMN"),
        (["fit", "runs.csv", *ROLES, "--bounds", "alpha=2"], "LOW:HIGH"),
        (["fit", "runs.csv", *ROLES, "--level", "95"], "--level"),
        (["fit", "runs.csv", *ROLES, "--batch-unit", "pages"], "pages"),
        (["demo", "--role", "N=params"], "--data"),
        (["predict", "fit.json"], "--at"),
        (["predict", "no-such.json", "--at", "N=1e9,D=1e10"], "no-such.json"),
        (["predict", "fit.json", "--at", "N=1e9"], "D"),
        (["predict", "fit.json", "--at", "N=1e9,D=2e10,Q=3"], "Q"),
        (["predict", "fit.json", "--at", "N=seven,D=1e10"], "'seven'"),
        (["laws", "chinchila"], "chinchilla"),
        (["laws", "compound_scalin"], "compound_scaling"),
        (["laws", "chinchilla", "--table"], "--table"),
        (["laws", "--family", "optimal"], "compute_optimal"),
        (["ft"], "ft"),
        (["fit", "runs.csv", *ROLES, "-o", "no-such-folder/fit.json"], "no-such-folder"),
        (["fit", "runs.csv", *ROLES, "--fix", "E"], "NAME=VALUE"),
        (["fit", "runs.csv", *ROLES, "--fix", "E=1", "--fix", "E=2"], "E is given twice"),
        (["fit", "runs.csv", "--role", "N=params", "D=tokens"], "an option is repeated for each of its values"),
        (["search", "fit.json", "--axis", "N=1e8,1e9", "--axis", "D=1e10", "--draws"], "without bootstrap draws"),
    ],
)
def test_wrong_usage_is_exit_2_and_names_the_words(words, said, saved_fit):
    done = piped(*words, cwd=saved_fit.parent)
    assert (done.returncode, done.stdout) == (2, "")
    first = done.stderr.splitlines()[0]
    assert first.startswith("isoloss: error [")
    assert said in done.stderr
    code = first.partition("[")[2].partition("]")[0]
    assert code in iso.errors.CODES
    assert "Traceback" not in done.stderr


def test_no_convergence_is_exit_1_and_still_prints_the_result(runs_csv, tmp_path):
    # The law has no value at any of these runs: there is nothing to converge to.
    out = tmp_path / "bad.json"
    nowhere = ["--law", "b * log(a - N)", "--bounds", "a=0:1", "--bootstrap", "10", "-o", out]
    done = piped("fit", runs_csv, *ROLES, *nowhere)
    assert done.returncode == 1
    assert "NOT STARTED" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("isoloss: error [fit-not-converged]: ")
    record = json.loads(piped("fit", runs_csv, *ROLES, *nowhere, "--json").stdout)
    assert record["success"] is False
    assert record["value"] is None
    assert record["bootstrap"] is None
    again = piped("predict", out, "--at", "N=1e9")
    assert again.returncode == 1
    assert again.stderr == done.stderr


# --- predict, allocate, laws, config --------------------------------------------------------------


def test_predict_reads_numbers_as_people_write_them(saved_fit):
    plain = piped("predict", saved_fit, "--at", "N=70e9,D=1.4e12", "--json")
    short = piped("predict", saved_fit, "--at", "N=70B,D=1.4T", "--json")
    assert plain.returncode == short.returncode == 0
    assert plain.stdout == short.stdout
    (row,) = json.loads(plain.stdout)["predictions"]
    expected = iso.load(saved_fit).predict(N=70e9, D=1.4e12)
    assert row.pop("decades").keys() == {"N", "D", "C"}
    assert row == {"N": 70e9, "D": 1.4e12, "loss": float(expected)}


def test_predict_takes_compute_for_tokens_and_many_points(saved_fit):
    points = ["--at", "N=7B,C=5.88e21", "--at", "N=7B,D=140B"]
    first, second = json.loads(piped("predict", saved_fit, *points, "--json").stdout)["predictions"]
    assert first["loss"] == pytest.approx(second["loss"], rel=1e-12)
    text = piped("predict", saved_fit, *points).stdout
    assert "7.00B" in text
    assert "140B" in text


def test_allocate_spends_the_budget(saved_fit):
    done = piped("allocate", saved_fit, "--compute", "1e24", "--json")
    (plan,) = json.loads(done.stdout)["allocations"]
    expected = iso.load(saved_fit).allocate(C=1e24)
    assert plan["N"] == expected.N
    assert 6 * plan["N"] * plan["D"] == pytest.approx(1e24, rel=1e-9)


def test_laws_lists_the_registry_by_family():
    printed = json.loads(piped("laws", "--json").stdout)
    table = printed["laws"]
    assert [row["name"] for row in table] == [*iso.laws.names(), *iso.rules.names()]
    lines = [line.rstrip() for line in piped("laws").stdout.splitlines()]
    heads = [line for line in lines if line and not line.startswith(" ")]
    assert heads == [*dict.fromkeys(row["family"] for row in table), "short names"]
    short = lines.index("short names")
    assert [line.split()[0] for line in lines[short + 1 :] if re.match(r"  \S", line)] == list(printed["aliases"])
    del lines[short:]
    listed = [line.split()[:2] for line in lines if re.match(r"  \S", line)]
    assert sorted(listed) == sorted([row["name"], row["kind"]] for row in table)
    text = "".join("".join(lines).split())
    # What one chooses a law by, wherever the line is folded.
    assert all("".join(row["expr"].split())[:30] in text for row in table if row["kind"] == "law")
    assert [line for line in lines if len(line) > 100] == []


def test_laws_lists_one_family():
    rows = json.loads(piped("laws", "--family", "compute_optimal", "--json").stdout)["laws"]
    assert {row["family"] for row in rows} == {"compute_optimal"}
    assert "chinchilla" in [row["name"] for row in rows]


def test_laws_writes_the_table_of_papers():
    lines = piped("laws", "--table").stdout.splitlines()
    assert lines[0].startswith("| paper | laws | rules |")
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines[2:])
    listed = json.loads(piped("laws", "--table", "--json").stdout)["papers"]
    assert len(listed) == len(lines) - 2
    assert sum("2203.15556" in line for line in lines) == 1


def test_laws_describes_a_rule():
    described = json.loads(piped("laws", "compound_scaling", "--json").stdout)["rule"]
    assert described["name"] == "compound_scaling"
    assert "states no fitted law" in piped("laws", "compound_scaling").stdout


def test_laws_describes_all_that_a_short_name_stands_for():
    text = piped("laws", "steplaw").stdout
    assert "steplaw_lr\n" in text
    assert "\nsteplaw_batch\n" in text
    described = json.loads(piped("laws", "steplaw", "--json").stdout)["entries"]
    assert [entry["name"] for entry in described] == ["steplaw_lr", "steplaw_batch"]
    assert json.loads(piped("laws", "tissue", "--json").stdout)["law"]["name"] == "annealing"


def test_laws_describes_one():
    described = json.loads(piped("laws", "chinchilla", "--json").stdout)["law"]
    assert described["name"] == "chinchilla"
    text = piped("laws", "chinchilla").stdout
    for word in ("alpha", "beta", "besiroglu2024", "hoffmann2022"):
        assert word in text


def test_config_says_what_the_library_says():
    assert json.loads(piped("config", "--json").stdout) == json.loads(json.dumps(iso.config.info())) | {
        "environment": {}
    }
    assert "SIMD in use" in piped("config").stdout


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], [], ["--version"]])
def test_help_and_version_are_exit_0(words):
    done = piped(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "isoloss" in done.stdout or iso.__version__ in done.stdout


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"'{sys.executable}' -m isoloss laws --json | head -c 1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "{"
    assert done.stderr == ""


@pytest.mark.parametrize("absent", ["cyclopts", "rich"])
def test_without_the_extra_one_line_says_what_to_install(absent):
    code = f"""
import sys
sys.modules[{absent!r}] = None
from isoloss.cli import main
sys.exit(main(["laws"]))
"""
    done = piped(code=code)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert absent in line
    assert "pip install 'isoloss[cli]'" in line


def test_starting_does_not_import_what_it_does_not_need():
    code = """
import sys
import isoloss, isoloss.cli
heavy = {"matplotlib", "pandas", "polars", "pyarrow", "scipy", "rich", "cyclopts"}
print(sorted(heavy & set(sys.modules)))
"""
    assert piped(code=code).stdout.strip() == "[]"


# --- demo ------------------------------------------------------------------------------------------


def test_demo_prints_all_parts_and_writes_the_plot(tmp_path):
    done = piped("demo", "--bootstrap", 400, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("simulated", "95 % interval", "truth", "starts", "FLOPs", "time", "demo.png"):
        assert part in done.stdout
    for name in simulate.truth():
        assert f"\n{name} " in done.stdout
    assert (tmp_path / "isoloss-demo.png").read_bytes().startswith(PNG)


def test_demo_as_json(tmp_path):
    done = piped("demo", "--bootstrap", 100, "--json", cwd=tmp_path)
    record = json.loads(done.stdout)
    assert record["simulated"] is True
    assert record["truth"]["params"] == simulate.truth()
    assert record["bootstrap"]["draws"] == 100
    assert record["allocation"]["N"] > 0


def test_demo_on_a_file_keeps_the_best_of_each_cell(tmp_path):
    table = simulate.sweep(settings=3)
    names = ("N", "D", "lr", "batch", "loss")
    header = "params,tokens,lr,batch,val_loss"
    path = tmp_path / "runs.csv"
    np.savetxt(
        path,
        np.column_stack([table[name] for name in names]),
        delimiter=",",
        header=header,
        comments="",
    )
    roles = ["--role", "N=params", "--role", "D=tokens", "--role", "loss=val_loss"]
    done = piped("demo", "--data", path, *roles, "--bootstrap", 50, "--json", cwd=tmp_path)
    record = json.loads(done.stdout)
    assert (record["runs"], record["n"]) == (504, 56)
    assert record["simulated"] is False
    assert record["truth"] is None


def test_demo_on_a_terminal_the_steps_have_bars(tmp_path):
    code, drawn = on_terminal("demo", "--bootstrap", "2000", cwd=tmp_path)
    assert code == 0
    assert BAR in drawn
    assert "truth" in drawn


# --- terminals ------------------------------------------------------------------------------------


def test_progress_bar_on_a_terminal_and_none_in_a_pipe(runs_csv):
    words = ["fit", runs_csv, *ROLES, "--bootstrap", "4000"]
    code, drawn = on_terminal(*words)
    assert code == 0
    assert BAR in drawn
    assert "bootstrap" in drawn
    done = piped(*words)
    assert BAR not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_no_bar_beside_json_on_a_terminal(runs_csv):
    code, drawn = on_terminal("fit", runs_csv, *ROLES, "--bootstrap", "100", "--json")
    assert code == 0
    assert json.loads(drawn)["success"] is True


def test_the_bar_is_gone_when_the_result_stands(runs_csv):
    _, drawn = on_terminal("fit", runs_csv, *ROLES, "--bootstrap", "4000")
    last = drawn.rfind(BAR)
    # rich takes a finished bar away by erasing its line (CSI 2K) and moving up.
    assert "\x1b[2K" in drawn[last:]


def test_ctrl_c_stops_a_long_bootstrap_with_one_line(runs_csv):
    process = subprocess.Popen(
        [*COMMAND, "fit", str(runs_csv), *ROLES, "--bootstrap", "100000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    time.sleep(2.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 5.0
    assert process.returncode == 130
    assert out == ""
    assert err == "isoloss: interrupted\n"


# --- progress -------------------------------------------------------------------------------------


def test_bar_is_silent_off_a_terminal(capsys):
    with progress.bar("step") as report:
        report(1, 2)
        report(2, 2)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_bar_draws_where_it_is_told_to(tmp_path):
    class Terminal:
        """A text stream that says it is a terminal."""

        def __init__(self):
            self.text = ""

        def write(self, text):
            self.text += text
            return len(text)

        def flush(self):
            pass

        def isatty(self):
            return True

    stream = Terminal()
    report = progress.bar("counting", stream=stream)
    report(5, 10)
    assert "counting" in stream.text
    report(10, 10)
    assert "10/10" in stream.text
    report(10, 10)  # a late report after the end draws a new bar and takes it off again
    report.close()


def test_progress_argument_takes_the_bar():
    runs = iso.read(simulate.sweep(settings=1))
    seen = []
    fitted = iso.fit("chinchilla", runs, progress=lambda done, total: seen.append((done, total)))
    draws = fitted.bootstrap(50, progress=progress.bar())
    assert np.isfinite(draws.params).all()
    assert all(0 <= done <= total for done, total in seen)
