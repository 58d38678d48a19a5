"""A progress bar for every ``progress=`` argument.

The engine reports progress as ``progress(done, total)``, a few times a second at most, from the
calling thread. `bar` gives such a callable that draws a `rich` bar on a terminal and is silent
everywhere else: in a pipe, in a log file, under a test runner, and when `rich` is not installed.
"""

import sys
from types import TracebackType
from typing import IO, Any, Self

__all__ = ["Bar", "bar"]


class Bar:
    """Callable ``(done, total)`` that draws a progress bar; made by `bar`.

    The bar appears at the first call (or on entering the ``with`` block) and goes away when
    `done` reaches `total` or the block ends, so that only results stay on the screen.
    """

    def __init__(self, description: str, *, enabled: bool, stream: IO[str]) -> None:
        self.description = description
        self.enabled = enabled
        self._stream = stream
        self._live: Any = None
        self._task: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are finished."""
        if not self.enabled:
            return
        self._start()
        self._live.update(self._task, completed=done, total=total)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Draw the last state once more and take the bar off the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> Self:
        """Show the bar before the first report, so that a wait is never mute."""
        if self.enabled:
            self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar off the screen, whatever happened."""
        self.close()

    def _start(self) -> None:
        if self._live is not None:
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._live = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(file=self._stream),
            transient=True,
        )
        self._task = self._live.add_task(self.description, total=None)
        self._live.start()


def bar(description: str = "fitting", *, show: bool | None = None, stream: IO[str] | None = None) -> Bar:
    """Make a progress bar to pass as ``progress=``.

    Parameters
    ----------
    description : str
        Words in front of the bar.
    show : bool, optional
        Draw it or not. By default it is drawn when `stream` is a terminal and `rich` (in the extra
        ``cli``) is installed.
    stream : text stream, optional
        Where to draw; standard error by default, so that standard output holds results alone.

    Returns
    -------
    Bar
        A callable ``(done, total)`` that is a context manager too.

    Raises
    ------
    ModuleNotFoundError
        When the bar is drawn because of ``show=True`` and `rich` is not installed.

    Examples
    --------
    >>> from isoloss import progress
    >>> with progress.bar("bootstrap", show=False) as report:
    ...     report(4000, 4000)
    """
    target = sys.stderr if stream is None else stream
    if show is None:
        show = target.isatty() and _has_rich()
    return Bar(description, enabled=show, stream=target)


def _has_rich() -> bool:
    try:
        import rich.progress  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True
