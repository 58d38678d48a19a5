"""Every code block of README.md and docs/ runs here, in order, and prints what the page says.

- ```` ```python ```` blocks hold ``>>>`` sessions; the blocks of a page share one namespace.
- ```` ```console ```` blocks hold ``$ command`` lines with their output, run in the same directory.

``...`` matches anything and runs of blanks are equal. Pages start in an empty directory.
"""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "laws").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.REPORT_NDIFF


def blocks(page: Path) -> list[tuple[str, str, int]]:
    """(language, text, first line) of each fenced block."""
    text = page.read_text(encoding="utf-8")
    return [(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in FENCE.finditer(text)]


def run_python(page: Path, text: str, line: int, names: dict[str, object]) -> None:
    test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), line)
    assert test.examples, f"{page.name}:{line}: a python block without a >>> example tests nothing"
    test.globs = names
    log: list[str] = []
    failed = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=log.append, clear_globs=False)
    assert not failed.failed, "".join(log)


def run_console(page: Path, text: str, line: int) -> None:
    # The interpreter's own directory first, so that `isoloss` is the one under test.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for session in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, wanted = session.partition("\n")
        while command.endswith("\\"):
            more, _, wanted = wanted.partition("\n")
            command = command[:-1] + more.strip()
        done = subprocess.run(
            ["bash", "-c", command],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        got = done.stdout
        checker = doctest.OutputChecker()
        example = doctest.Example(command, wanted or "")
        assert checker.check_output(example.want, got, FLAGS), (
            f"{page.name}:{line}: {command}\n{checker.output_difference(example, got, FLAGS)}{done.stderr}"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_on_the_page_prints_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("isoloss.laws._user", {})  # what a page registers is its own
    names: dict[str, object] = {"__name__": "__main__"}
    for language, text, line in blocks(page):
        if language == "python":
            run_python(page, text, line, names)
        elif language == "console":
            run_console(page, text, line)


def test_every_public_name_is_in_the_reference() -> None:
    import isoloss

    listed = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    found = re.findall(r"^\.\. (?:auto\w+|currentmodule):: (\S+)", listed, re.MULTILINE)
    targets = {target.rpartition(".")[2] for target in found}
    members = {"__version__", "config", "errors"}  # documented by what they hold
    assert set(isoloss.__all__) - targets - members == set()


def test_the_page_of_codes_says_how_each_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    import isoloss
    from isoloss.errors import CODES

    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    found = __import__("codes_page").origins(Path(isoloss.__file__).parent)
    assert set(CODES) - set(found) == set()
    assert "Error FitError" in found["fit-failed"]
    assert found["at-bound"] == {"Notice, severity serious", "Notice, severity warning"}


def test_readme_shows_code_early_and_its_files_exist() -> None:
    """The yardstick for the first screen: install, a printed result and a figure, in that order."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    def first(wanted: str) -> int:
        return next(number for number, line in enumerate(lines, 1) if wanted in line)

    assert first("pip install") <= 10
    assert first(">>> print") <= 15
    assert first("](docs/_static/") <= 40
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", "\n".join(lines))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
