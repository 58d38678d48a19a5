"""What a paper should say about a scaling law, filled in from a fit.

The questions follow the checklist of Li, Kudugunta and Zettlemoyer 2025 ((Mis)Fitting: A Survey of Scaling Laws,
arXiv:2502.18969), in our own words: the hypothesis, the training set-up, the collection of the data, and the fit. The
last part, what repeating the fit needs, and the question what speaks against it are additions.
`isoloss.report.answers` fills it in.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from isoloss.errors import OptionError, did_you_mean
from isoloss.plain import plain_dict
from isoloss.shown import Shown

__all__ = ["Checklist", "Item"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A question of the checklist.

    Attributes
    ----------
    key, section, question : str
    answer : str or None
        None where only the authors can give it.
    known : str
        What the fit does hold about an open question.
    """

    key: str
    section: str
    question: str
    answer: str | None
    known: str = ""

    @property
    def said(self) -> str:
        """The answer, or that there is none yet."""
        return self.answer if self.answer is not None else "open" + (f"; known: {self.known}" if self.known else "")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Checklist(Shown):
    """The checklist of one fit; made by `Fit.checklist`.

    Attributes
    ----------
    items : tuple of Item
        In order.
    """

    items: tuple[Item, ...]

    @property
    def open(self) -> tuple[Item, ...]:
        """The questions that the fit does not answer."""
        return tuple(item for item in self.items if item.answer is None)

    def __getitem__(self, key: str) -> Item:
        """The item of that key."""
        found = {item.key: item for item in self.items}
        if str(key) not in found:
            message = f"the checklist has no item {key!r}{did_you_mean(key, found)}; it has {', '.join(found)}"
            raise OptionError(message, argument="key")
        return found[str(key)]

    def __len__(self) -> int:
        return len(self.items)

    def to_markdown(self) -> str:
        r"""A list to tick off, with the open items unticked, for an appendix.

        Examples
        --------
        >>> import isoloss as iso
        >>> fit = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)))
        >>> print(fit.checklist().to_markdown())
        # Reporting checklist
        ...
        - [x] **What is the form of the law?** L = E + A / N\*\*alpha + B / D\*\*beta (chinchilla)
        ...
        - [ ] **Which corpus, tokenizer and mixture were trained on, and were tokens repeated?** open
        ...
        """
        source = "Questions after Li, Kudugunta and Zettlemoyer 2025, arXiv:2502.18969."
        lines = ["# Reporting checklist", "", f"{self.tally} {source}"]
        for section, items in groupby(self.items, key=lambda item: item.section):
            lines += ["", f"## {section}", ""]
            for item in items:
                mark = " " if item.answer is None else "x"
                lines.append(f"- [{mark}] **{item.question}** {_escaped(item.said)}")
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        names = ("key", "section", "question", "answer", "known")
        listed = [{name: getattr(item, name) for name in names} for item in self.items]
        return plain_dict({"items": listed, "open": [item.key for item in self.open]})

    @property
    def tally(self) -> str:
        """How many questions are answered, in words."""
        return f"{len(self) - len(self.open)} of {len(self)} questions answered by the fit; the others are open."

    def __str__(self) -> str:
        lines = [self.tally]
        for section, items in groupby(self.items, key=lambda item: item.section):
            lines.append(section)
            for item in items:
                lines += [f"  {item.question}", f"    {item.said}"]
        return "\n".join(lines)


def _escaped(words: str) -> str:
    """Text whose stars and underscores Markdown leaves alone."""
    for mark in ("\\", "*", "_", "`", "[", "<"):
        words = words.replace(mark, f"\\{mark}")
    return words
