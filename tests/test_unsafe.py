"""Unsafe Rust stands in one module, and every block of it says why it is sound.

The compiler enforces the first (`unsafe_code`) and clippy the second (`undocumented_unsafe_blocks`), both by the lint
table of the workspace; this test sees to it that every crate reads the table and that one module alone lifts it.
"""

import re
import tomllib
from pathlib import Path

RUST = Path(__file__).resolve().parent.parent / "rust"
SOURCES = sorted(path for path in RUST.rglob("*.rs") if "target" not in path.relative_to(RUST).parts)
ALLOWED = RUST / "core" / "src" / "simd"


def code(path: Path) -> list[str]:
    """Lines without comments."""
    return [line.split("//")[0] for line in path.read_text(encoding="utf-8").splitlines()]


def unsafe_lines(path: Path) -> list[int]:
    return [at for at, line in enumerate(code(path)) if re.search(r"\bunsafe\b", line)]


def test_the_search_sees_what_is_there():
    assert len(SOURCES) > 50
    assert unsafe_lines(ALLOWED / "level.rs")


def test_unsafe_stands_in_simd_alone():
    elsewhere = [f"{path}:{at + 1}" for path in SOURCES if ALLOWED not in path.parents for at in unsafe_lines(path)]
    assert not elsewhere, elsewhere


def test_every_unsafe_block_is_justified():
    for path in ALLOWED.rglob("*.rs"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for at in unsafe_lines(path):
            above = "\n".join(lines[max(0, at - 4) : at])
            assert "// SAFETY: " in above, f"{path}:{at + 1} does not say why it is sound"


def test_every_crate_refuses_unsafe_and_one_module_lifts_it():
    lints = tomllib.loads((RUST.parent / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["lints"]
    assert lints["rust"]["unsafe_code"] == lints["clippy"]["undocumented_unsafe_blocks"] == "deny"
    for member in (RUST / "core", RUST / "py"):
        assert tomllib.loads((member / "Cargo.toml").read_text(encoding="utf-8"))["lints"] == {"workspace": True}
    lifted = {path for path in SOURCES if re.search(r"(allow|expect)\([^)]*unsafe_code", "\n".join(code(path)))}
    assert lifted == {ALLOWED / "mod.rs"}
