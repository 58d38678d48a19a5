"""Any word in any place of a command line: an exit code that says what happened, one line why, and no traceback."""

import os
import re

import numpy as np
import pytest

import isoloss as iso
from isoloss.cli import main
from isoloss.errors import CODES

WORDS = (
    *("", " ", "-", "--", "---", "=", "==", "N=", "=N", "N==N", ",", ":", "::", "N=:", "N=1:2:", "N=1,,2", "%", "-1%"),
    *("0", "-1", "1e400", "-1e400", "nan", "inf", "-inf", "5e-324", "9" * 40, "1_0", "٣", "1e", "0x10", "7Q", "1.2.3"),
    *("--jsn", "--json=maybe", "--level=", "--no-json", "--help=no", "E=nan", "E=inf", "N=1e400", "N=-1", "N=0"),
    *("\0", "a\0b", "a\nb", "\x1b[31m", "\ud800", "é", "名", "💥", "\u202e", "\ufeff", "x" * 100_000, "(" * 5_000),
    *(
        "/",
        ".",
        "..",
        "/dev/null",
        "/dev/full",
        "/nowhere/at/all",
        "~",
        "$HOME",
        "`id`",
        "%s%n",
        "{0}",
        "[]",
        "{}",
        "@f",
    ),
    *("__import__('os')", "lambda: 0", "E**E**E**E", "E + A / N**alpha", "auto", "case:", "run:1", "case:1e9", "1e9"),
)
"""Words of no command, numbers beyond the ranges, bytes that terminals do not like, code, half a value."""


SHARE = 1 if os.environ.get("ISOLOSS_BIG") else 12
"""Every run of the tests takes one in so many; `ISOLOSS_BIG=1` all."""


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """A command line of each kind that works, and in little time."""
    folder = tmp_path_factory.mktemp("words")
    runs, saved = folder / "runs.csv", folder / "fit.json"
    table = iso.simulate.sweep(settings=1, noise=2e-3, seed=1)
    rows = np.column_stack([table[name] for name in ("N", "D", "loss")]).astype(float)
    runs.write_text("N,D,loss\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist()), encoding="utf-8")
    fitted = iso.fit("chinchilla", iso.read(runs), seed=0)
    fitted.with_draws(fitted.bootstrap(8, seed=0, starts=0)).save(saved)
    return {
        "fit": [
            *(
                "fit",
                str(runs),
                "--law",
                "chinchilla",
                "--fix",
                "E=1.7",
                "--level",
                "0.9",
                "--seed",
                "1",
                "--threads",
                "1",
            )
        ],
        "predict": ["predict", str(saved), "--at", "N=1e9,D=1e11", "--level", "0.9", "--kind", "mean"],
        "allocate": ["allocate", str(saved), "--compute", "1e22"],
        "search": [
            "search",
            str(saved),
            "--axis",
            "N=1e8:1e10:4log",
            "--axis",
            "D=1e10",
            "--where",
            "N > 1",
            "--define",
            "cost=N*D",
            "--within",
            "1%",
        ],
        "hparams": ["hparams", "--law", "steplaw", "--at", "1e9,1e11"],
        "rerun": ["rerun", str(saved), "--data", str(runs), "--role", "N=N", "--threads", "1"],
        "checklist": ["checklist", str(saved), "--md"],
        "laws": ["laws", "chinchilla"],
        "config": ["config", "--json"],
    }


def damaged(line):
    """The line with each of `WORDS` in the place of each of its own, and between them."""
    for place in range(len(line) + 1):
        for word in WORDS:
            yield [*line[:place], word, *line[place:]]
            if place < len(line):
                yield [*line[:place], word, *line[place + 1 :]]


@pytest.mark.parametrize(
    "name", ["fit", "predict", "allocate", "search", "hparams", "rerun", "checklist", "laws", "config"]
)
def test_any_word_in_any_place_is_taken_or_refused_in_one_line(name, commands, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(commands[name]) == 0
    capsys.readouterr()
    refused = 0
    for number, line in enumerate(damaged(commands[name])):
        if number % SHARE:
            continue
        code = main(line)
        said = capsys.readouterr()
        shown = ascii([word[:40] for word in line])
        assert code in ({0, 1, 2, 3} if name == "rerun" else {0, 1, 2}), shown  # 3: the data are others
        if code in {1, 2}:
            refused += 1
            first, *marks = said.err.split("\n")[:-1]
            found = re.fullmatch(r"isoloss: error \[([a-z-]+)\]: .+", first)
            assert found, shown
            assert found[1] in CODES, shown
            assert not marks or found[1] == "law-syntax", shown  # the text, and a mark below it
            assert max(map(len, (first, *marks))) < 2_100, shown
            assert all(line.isprintable() for line in (first, *marks)), shown
        else:
            assert said.out, shown
    assert refused > 0
    assert not list(tmp_path.iterdir())
