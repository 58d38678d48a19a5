"""The command line ``isoloss``: exit codes, error lines and the check for the extra ``cli``.

Exit codes: 0 done, 1 the fit did not converge or the data were refused, 2 wrong usage (unknown
option, law or parameter, missing file, missing extra), 3 ``rerun`` found a difference, 130 interrupted, 143
terminated. Errors are one line on standard error with their stable code; results go to standard output.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

__all__ = ["main"]

NEEDED = ("cyclopts", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after the program's name; those of the process by default.

    Returns
    -------
    int
        The exit code.

    Examples
    --------
    >>> from isoloss.cli import main
    >>> main(["predict", "no-such-file.json", "--at", "N=7B,D=1.4T"])
    2
    """
    missing = [name for name in NEEDED if not _installed(name)]
    if missing:
        sys.stderr.write(
            f"isoloss: error [missing-extra]: the command line needs {' and '.join(missing)}; "
            "install with: pip install 'isoloss[cli]'\n"
        )
        return 2
    from isoloss.cli import _fitting, _handing_on, _hparams, _showing, _using  # noqa: F401 - they add their commands
    from isoloss.cli._app import end_on_sigterm, run

    if arguments is None:  # the process is ours
        end_on_sigterm()
    return run(sys.argv[1:] if arguments is None else list(arguments))


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # `sys.modules[name]` is None: import is blocked
        return False
