"""One call of a user, watched as a whole: its threads, its progress, and whether to stop. Private.

A call such as `fit_many` makes many calls of the engine. The engine looks up every 50 ms: it reports progress and asks
Python for signals. What it cannot know is how far the whole has come, and that an interrupt ends the whole; a `Watch`
carries both from one call of the engine to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from isoloss.checks import whole
from isoloss.errors import OptionError

__all__ = ["OnInterrupt", "Progress", "Watch", "thread_number"]

Progress = Callable[[int, int], object]
OnInterrupt = Literal["raise", "partial"]

_MOST_THREADS = 1024


def thread_number(n_threads: Any) -> int:
    """The number of threads for the engine: zero leaves it to ``ISOLOSS_THREADS``, else to the number of cores.

    Raises
    ------
    OptionError
        Code ``option``: not a whole number from 1 to 1024.

    Examples
    --------
    >>> from isoloss.engine.watch import thread_number
    >>> thread_number(2), thread_number(None)
    (2, 0)
    """
    if n_threads is None:
        return 0
    return whole("n_threads", n_threads, 1, _MOST_THREADS)


class Watch:
    """Progress and interruption of one call of a user.

    Parameters
    ----------
    progress : callable, optional
        Called as ``progress(done, total)``, with what is done of the whole; True asks to stop, as Ctrl-C does.
    on_interrupt : {"raise", "partial"}
        Whether an interrupt raises KeyboardInterrupt, or leaves what is finished.
    n_threads : int, optional
    total : int
        What the whole counts to; zero where one call of the engine is the whole.

    Attributes
    ----------
    stopped : bool
        Set by the engine when it was interrupted and partial results were asked for: begin nothing more.
    before : int
        What was done before the present call of the engine.
    """

    __slots__ = ("before", "partial", "progress", "stopped", "threads", "total")

    def __init__(
        self,
        progress: Progress | None = None,
        on_interrupt: OnInterrupt = "raise",
        n_threads: int | None = None,
        total: int = 0,
    ) -> None:
        if on_interrupt not in ("raise", "partial"):
            message = f"on_interrupt={on_interrupt!r} is neither 'raise' nor 'partial'"
            raise OptionError(message, argument="on_interrupt")
        if progress is not None and not callable(progress):
            message = f"progress={progress!r} cannot be called as progress(done, total)"
            raise OptionError(message, argument="progress")
        self.threads = thread_number(n_threads)
        self.progress = progress
        self.partial = on_interrupt == "partial"
        self.total = total
        self.before = 0
        self.stopped = False

    @property
    def report(self) -> Progress | None:
        """What the engine calls with the progress of one call; None where nobody asked."""
        progress = self.progress
        return None if progress is None else lambda done, total: progress(self.before + done, self.total or total)

    def silent(self) -> Watch:
        """The same threads and the same answer to an interrupt, without progress: for calls that nobody counts."""
        return Watch(None, "partial" if self.partial else "raise", self.threads or None)
