"""The package as a whole: its names, its version, and what importing it costs."""

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import isoloss as iso

ROOT = Path(__file__).resolve().parent.parent


def in_fresh_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_every_public_name_exists_and_is_listed() -> None:
    assert sorted(iso.__all__) == iso.__dir__()
    assert all(getattr(iso, name) is not None for name in iso.__all__)


def test_functions_win_over_the_modules_of_the_same_name() -> None:
    """`isoloss.fit` is a package and a function; the function must stay whatever is imported later."""
    told = in_fresh_python(
        "import isoloss.fit.object, isoloss.law, isoloss.fit.many, isoloss.demo, isoloss as iso\n"
        "print([type(getattr(iso, name)).__name__ for name in ('fit', 'law', 'fit_many')])"
    )
    assert told == "['function', 'function', 'function']"


def test_modules_are_reached_as_attributes() -> None:
    told = in_fresh_python("import isoloss as iso; print(iso.simulate.__name__, iso.errors.__name__)")
    assert told == "isoloss.simulate isoloss.errors"
    assert isinstance(iso.plot, ModuleType)


def test_an_unknown_name_is_refused_as_by_any_module() -> None:
    assert not hasattr(iso, "no_such_name")


def test_import_leaves_optional_and_slow_packages_alone() -> None:
    heavy = {"cyclopts", "matplotlib", "pandas", "polars", "pyarrow", "rich", "scipy"}
    told = in_fresh_python(f"import sys, isoloss; print(sorted({heavy!r} & set(sys.modules)))")
    assert told == "[]"


def test_completion_offers_public_names_alone() -> None:
    for module in (iso.plot, iso.diagnostics, iso.starts, iso.schedules):
        assert dir(module) == sorted(module.__all__)


def test_import_leaves_alone_what_only_some_programs_ask_for() -> None:
    rooms = (
        "comparison",
        "design",
        "gridsearch",
        "hparams",
        "plan",
        "store",
        "fit.many",
        "stats.bootstrap",
        "stats.profiles",
    )
    code = "import sys, isoloss; print([name for name in sys.modules if name.startswith('isoloss.')])"
    loaded = in_fresh_python(code)
    assert "'isoloss.fit.object'" in loaded
    assert [room for room in rooms if f"'isoloss.{room}" in loaded] == []


def test_version_is_the_workspace_s() -> None:
    stated = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert stated is not None
    assert iso.__version__ == stated[1]


def test_links_become_whole_for_the_page_on_pypi(tmp_path: Path) -> None:
    """Those of the README are relative, and lead to files that are there; so do the links of the package."""
    scripts = runpy.run_path(str(ROOT / "scripts" / "absolute_links.py"))
    for name in ("README.md", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    environment = {
        "GITHUB_SERVER_URL": "https://host.example",
        "GITHUB_REPOSITORY": "owner/name",
        "GITHUB_REF_NAME": "v1.2.3",
    }
    scripts["main"](environment, tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    links = [*re.findall(r"\]\(([^)\s]+)\)", text), *project["urls"].values()]
    assert len(links) > 15
    assert all(link.startswith("https://") for link in links)
    own = [link for link in links if link.startswith("https://host.example/owner/name/")]
    files = [re.fullmatch(r"https://host\.example/owner/name/(?:blob|raw)/v1\.2\.3/(.+)", link) for link in own]
    assert sum(found is None for found in files) == 1  # the list of issues
    assert all((ROOT / found[1]).is_file() for found in files if found)
    assert "](https://host.example/owner/name/raw/v1.2.3/docs/_static/demo.png)" in text
    with pytest.raises(SystemExit, match="already"):
        scripts["main"](environment, tmp_path)
