"""What `show_config` says, and where it gets it from."""

import json
import subprocess
import sys

import numpy as np
import pytest

import isoloss as iso


def test_info_is_the_engine_s_own_word():
    described, build = iso.config.info(), iso._core.build_info()
    for name in ("version", "profile", "simd", "simd_available", "threads"):
        assert described[name] == build[name]
    assert described["numpy"] == np.__version__
    assert described["simd"] in described["simd_available"]
    assert described["profile"] in {"release", "debug"}


def test_show_config_prints_what_a_bug_report_needs(capsys):
    assert iso.show_config() is None
    text = capsys.readouterr().out
    described = iso.config.info()
    for name in ("version", "profile", "simd", "threads", "python", "platform"):
        assert str(described[name]) in text
    assert len(text.splitlines()) == len(described)


@pytest.mark.parametrize("level", iso.config.info()["simd_available"])
def test_environment_forces_the_level_and_is_reported(level):
    code = "import json, isoloss; print(json.dumps(isoloss.config.info()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"ISOLOSS_SIMD": level, "ISOLOSS_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    described = json.loads(done.stdout)
    assert described["simd"] == level
    assert described["threads"] == 1
    assert described["environment"] == {"ISOLOSS_SIMD": level, "ISOLOSS_THREADS": "1"}
