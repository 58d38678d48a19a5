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


def schedule_of(name: str):
    """The schedule of a released loss curve by its name, as the file's description has it; None for an unknown one."""
    from isoloss import schedules

    steps, peak, warmup = 24_000, 3e-4, 2_160
    kind, *numbers = name.split("_")
    if kind in ("constant", "cosine"):
        return schedules.KINDS[kind](steps=int(numbers[0]), peak=peak, warmup=warmup)
    if kind == "wsdcon":
        level = int(numbers[0]) * 1e-5 / peak
        return schedules.multi_step(steps=16_000, peak=peak, at=[8_000], to=[level], warmup=warmup)
    shape = {"wsd": "exponential", "wsdld": "linear"}.get(kind)
    return shape and schedules.wsd(steps=steps, peak=peak, decay=4_000, shape=shape, warmup=warmup)


@pytest.fixture(scope="session")
def released_curves(data_dir: Path):
    """The loss curves released with the Multi-Power Law: three sizes, nine schedules each."""
    import isoloss as iso

    return iso.read_curves(
        data_dir / "lr_schedule_curves.csv",
        run=["model_size_millions", "schedule"],
        N="model_size_millions",
        split="split_in_paper",
        schedules=schedule_of,
    )
