"""What every test and docstring example shares: where it runs."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run docstring examples in an empty directory, so that they may write files."""
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(tmp_path)
