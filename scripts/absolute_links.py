"""Write the repository's address into README.md and pyproject.toml, for the package's page on PyPI.

Links of the README are relative, so that they work in every clone and fork, and no address is stated in the sources.
PyPI's page needs whole ones, and the project's links: the workflow that publishes a release runs this in its checkout.

    GITHUB_SERVER_URL=... GITHUB_REPOSITORY=owner/name GITHUB_REF_NAME=v1.0.0 python scripts/absolute_links.py
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(!?)(\[(?:[^\]\[]|\[[^\]]*\])*\])\((?!https?:|#|mailto:)([^)\s]+)\)")


def absolute(readme: str, repository: str, ref: str) -> str:
    """The text with every relative link made whole; pictures point at the file itself."""

    def whole(match: re.Match[str]) -> str:
        picture, text, target = match.groups()
        return f"{picture}{text}({repository}/{'raw' if picture else 'blob'}/{ref}/{target})"

    return LINK.sub(whole, readme)


def urls(repository: str, ref: str) -> str:
    """The table of the project's links."""
    pages = {
        "Repository": repository,
        "Documentation": f"{repository}/blob/{ref}/docs/index.md",
        "Changelog": f"{repository}/blob/{ref}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
    return "[project.urls]\n" + "".join(f'{name} = "{address}"\n' for name, address in pages.items())


def main(environment: Mapping[str, str], root: Path) -> None:
    """Rewrite both files in place."""
    repository = f"{environment['GITHUB_SERVER_URL']}/{environment['GITHUB_REPOSITORY']}"
    ref = environment["GITHUB_REF_NAME"]
    readme, project = root / "README.md", root / "pyproject.toml"
    readme.write_text(absolute(readme.read_text(encoding="utf-8"), repository, ref), encoding="utf-8")
    stated = project.read_text(encoding="utf-8")
    if "[project.urls]" in stated:
        sys.exit("pyproject.toml has [project.urls] already")
    before = "[project.scripts]\n"
    project.write_text(stated.replace(before, f"{urls(repository, ref)}\n{before}"), encoding="utf-8")


if __name__ == "__main__":
    main(os.environ, ROOT)
