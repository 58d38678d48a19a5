"""Settings of the test run: hypothesis profiles, a fixed terminal width, no environment settings."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# One profile for everyone: derandomised, so that a failure in CI is the failure here. More
# examples: HYPOTHESIS_PROFILE=long.
settings.register_profile(
    "default",
    deadline=None,  # two shared cores: time says nothing about the example
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("long", settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Published data under licences that do not let us ship them: a folder of files as upstream gives them, named by
# ISOLOSS_DATA or standing beside the clone.
DATA = Path(os.environ.get("ISOLOSS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the published data sets; without it a test is skipped, except in CI, where it must be there."""
    if not DATA.is_dir():
        message = f"the published data are not at {DATA}; name their folder in ISOLOSS_DATA"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return DATA


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a user's own ISOLOSS_* settings and terminal out of the results."""
    for name in [key for key in os.environ if key.startswith("ISOLOSS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
