"""What one keeps of a fit and hands to others: the file, the page, the checklist, and a second run of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from isoloss.engine.watch import Watch
from isoloss.fit.run import run
from isoloss.fit.uncertainty import Uncertainty

if TYPE_CHECKING:
    from os import PathLike

    from isoloss.report.checklist import Checklist
    from isoloss.report.reproduce import Reproduction
    from isoloss.stats.draws import Draws

__all__ = ["Keeping"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Keeping(Uncertainty):
    """How a fit is kept and shown to others; see `isoloss.fit.object.Fit`."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The compiled expression cannot be pickled; it is made again from the text.
        from isoloss.store import from_plain

        return from_plain, (self.to_dict(),)

    def save(self, path: str | PathLike[str], *, draws: Draws | None = None) -> None:
        """Write the fit, its data and its draws to a JSON file; `isoloss.load` reads it.

        Parameters
        ----------
        path : path
            Written whole or not at all.
        draws : Draws, optional
            To store with it, instead of the attached ones.
        """
        from isoloss.store import save

        save(self if draws is None else self.with_draws(draws), "isoloss.fit", path)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; what `save` writes."""
        from isoloss.store import to_plain

        return to_plain(self, "isoloss.fit")

    def rerun(self, *, n_threads: int | None = None) -> Self:
        """Fit the same law to the same data with the same settings again; the same bits with the same version."""
        return run(self.law, self.runs, self.settings, Watch(n_threads=n_threads))  # type: ignore[return-value]

    def reproduce(self, source: Any = None, *, n_threads: int | None = None, **options: Any) -> Reproduction:
        """Fit again, with the draws, and say what differs: data, versions, and each stored result.

        Parameters
        ----------
        source : path, frame, mapping or Runs, optional
            Data instead of the stored runs. A file, frame or mapping is read with the arguments that the fit's own data
            were read with, and the same rows are chosen from it.
        n_threads : int, optional
            The result does not depend on it.
        **options
            Arguments of `isoloss.read` that differ for this source, such as ``loss="val"``.

        Returns
        -------
        Reproduction
            ``same`` tells whether data and all results are the same bits; it prints as a list of what is not.

        Raises
        ------
        OptionError
            Code ``option``: data for a fit that a table of runs cannot repeat, or options without a source.
        DataError
            As `isoloss.read`; ``data-shape`` where rows or weights of the fit do not match the number of rows.

        Examples
        --------
        >>> import isoloss as iso
        >>> table = iso.simulate.sweep(settings=1, seed=0)
        >>> fit = iso.fit("chinchilla", iso.read(table))
        >>> fit.reproduce(table).same
        True
        >>> table["loss"] = [loss + 0.01 * (row == 3) for row, loss in enumerate(table["loss"])]
        >>> print(fit.reproduce(table))
        DIFFERENT: ... of ... stored results
        data
          SHA-256: ... -> ...
          column loss: 1 of 56 values differ, the first in row 3: ... -> ...
        results
        ...
        """
        from isoloss.report.reproduce import reproduce

        return reproduce(self, source, n_threads=n_threads, options=options)  # type: ignore[arg-type]

    def checklist(self) -> Checklist:
        """What a paper should report about the fit, answered as far as the fit itself knows.

        Returns
        -------
        Checklist
            ``open`` holds the questions that only the authors can answer; ``to_markdown()`` makes an appendix of it.

        References
        ----------
        Li, Kudugunta and Zettlemoyer 2025, (Mis)Fitting: A Survey of Scaling Laws, arXiv:2502.18969.

        Examples
        --------
        >>> import isoloss as iso
        >>> made = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0))).checklist()
        >>> made["form"].answer
        'L = E + A / N**alpha + B / D**beta (chinchilla)'
        >>> made["corpus"] in made.open
        True
        """
        from isoloss.report.answers import checklist

        return checklist(self)

    def report(self, path: str | PathLike[str], *, level: float = 0.95, n_threads: int | None = None) -> None:
        """Write one self-contained HTML page: data, fit, bands, holdout, influence, checklist, versions and hashes.

        Parameters
        ----------
        path : path
            An existing file is replaced. The same fit gives the same bytes.
        level : float
            Of the intervals, where draws are attached.
        n_threads : int, optional
            The page does not depend on it.

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        OutputError
            Code ``file-unwritable``: the file cannot be written; it is an OSError too.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> import isoloss as iso
        >>> fit = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = pathlib.Path(folder) / "fit.html"
        ...     fit.report(page)
        ...     "data:image/png;base64," in page.read_text(encoding="utf-8")
        True
        """
        from isoloss.report.fits import write_report

        write_report(self, path, level=level, n_threads=n_threads)  # type: ignore[arg-type]
