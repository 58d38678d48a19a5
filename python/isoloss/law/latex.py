r"""LaTeX from the text of a law.

The grammar of laws (see the parser of the core) is a part of Python's, so Python's own parser reads the text here;
nothing is evaluated. Names become symbols: Greek words their letters, what follows an underscore or a trailing digit a
subscript. Quotients become fractions, except in exponents, where they stay on the line.
"""

from __future__ import annotations

import ast
import re

__all__ = ["symbol", "typeset"]

# fmt: off
_GREEK = frozenset((
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "rho",
    "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega",
))
# fmt: on
_WORD = re.compile(r"[^\W\d]\w*")
_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = 1, 2, 3, 4, 5
_NAMED = {
    "exp": r"\exp",
    "log": r"\ln",
    "tanh": r"\tanh",
    "log2": r"\log_2",
    "log10": r"\log_{10}",
    "min": r"\min",
    "max": r"\max",
}
_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: r"\le",
    ast.Gt: ">",
    ast.GtE: r"\ge",
    ast.Eq: "=",
    ast.NotEq: r"\ne",
}


def symbol(name: str) -> str:
    r"""A name as a symbol.

    Examples
    --------
    >>> from isoloss.law.latex import symbol
    >>> symbol("alpha_N"), symbol("lr"), symbol("N0"), symbol("Nc"), symbol("L_inf")
    ('\\alpha_{N}', '\\mathrm{lr}', 'N_{0}', 'N_{c}', 'L_{\\infty}')
    """
    head, _, tail = name.partition("_")
    if not head:
        return rf"\mathrm{{{_escaped(name)}}}"
    digits = re.fullmatch(r"([^\W\d]+)(\d+)", head)
    if digits:
        head, tail = digits[1], digits[2] + (f",{tail}" if tail else "")
    elif not tail and re.fullmatch(r"[A-Z][a-z]", head) and head not in _GREEK:
        head, tail = head[0], head[1]
    return _part(head) + (f"_{{{_part(tail)}}}" if tail else "")


def _part(text: str) -> str:
    if text in _GREEK:
        return rf"\{text}"
    if text == "inf":
        return r"\infty"
    if len(text) == 1 or text.replace(",", "").isdigit():
        return text
    return rf"\mathrm{{{_escaped(text)}}}"


def _escaped(text: str) -> str:
    return text.replace("_", r"\_")


def typeset(text: str) -> str:
    r"""LaTeX of an expression, or of an equation with one ``=``.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Mathematics without delimiters. A text that is no expression stays text, in typewriter letters.

    Examples
    --------
    >>> from isoloss.law.latex import typeset
    >>> print(typeset("L = E + A / N**alpha"))
    L = E + \frac{A}{N^{\alpha}}
    >>> print(typeset("(Nc / N)**(alpha_N / alpha_D)"))
    \left(\frac{N_{c}}{N}\right)^{\alpha_{N} / \alpha_{D}}
    """
    sides = re.split(r"(?<![<>=!])=(?!=)", text)
    try:
        return " = ".join(_expression(side.strip()) for side in sides)
    except (SyntaxError, ValueError):
        plain = re.sub(r"([#$%&_{}])", r"\\\1", text)
        return rf"\texttt{{{plain}}}"


def _expression(text: str) -> str:
    # Words of Python, such as lambda, are names here: every name goes through a neutral one.
    names: list[str] = []

    def neutral(found: re.Match[str]) -> str:
        names.append(found[0])
        return f"n{len(names) - 1}"

    # Numbers such as 1e5 hold letters: they are matched first and stay.
    held = re.sub(
        r"(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[^\W\d]\w*",
        lambda found: neutral(found) if _WORD.fullmatch(found[0]) else found[0],
        " ".join(text.split()),
    )
    return _Writer(names).write(ast.parse(held, mode="eval").body)[0]


class _Writer:
    """Writes a node and says how tightly it binds."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.exponent = 0

    def name(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            raise ValueError("a call of something without a name")
        return self.names[int(node.id[1:])]

    def write(self, node: ast.expr) -> tuple[str, int]:
        match node:
            case ast.Name():
                return symbol(self.name(node)), _ATOM
            case ast.Attribute(value=ast.Name() as table, attr=attr):
                # A column of an inner table: one value for each point that is summed.
                return f"{{{symbol(self.names[int(attr[1:])])}}}_{{{symbol(self.name(table))}}}", _ATOM
            case ast.Constant(value=int() | float() as value):
                return _number(value)
            case ast.UnaryOp(op=op, operand=operand):
                sign = "-" if isinstance(op, ast.USub) else "+"
                return sign + self.within(operand, _PRODUCT), _SIGN
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return f"{self.within(left, _SUM)} + {self.within(right, _SUM)}", _SUM
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return f"{self.within(left, _SUM)} - {self.within(right, _PRODUCT)}", _SUM
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                first, second = self.within(left, _PRODUCT), self.within(right, _SIGN)
                # 2 3 would read as 23, and two names in a row as one.
                sign = r"\cdot" if second[0].isdigit() else r"\,"
                return f"{first} {sign} {second}", _PRODUCT
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self.quotient(left, right)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self.power(left, right), _POWER
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return f"{self.write(left)[0]} {_COMPARED[type(op)]} {self.write(right)[0]}", 0
            case ast.Call(func=func, args=arguments, keywords=[]):
                return self.call(self.name(func), arguments)
        raise ValueError("not an expression of a law")

    def within(self, node: ast.expr, least: int) -> str:
        """Bracketed where it binds more loosely than its place allows."""
        text, binding = self.write(node)
        return text if binding >= least else rf"\left({text}\right)"

    def quotient(self, left: ast.expr, right: ast.expr) -> tuple[str, int]:
        if self.exponent:
            return f"{self.within(left, _PRODUCT)} / {self.within(right, _POWER)}", _PRODUCT
        return rf"\frac{{{self.write(left)[0]}}}{{{self.write(right)[0]}}}", _PRODUCT

    def raised(self, node: ast.expr) -> str:
        self.exponent += 1
        text = self.write(node)[0]
        self.exponent -= 1
        return text

    def power(self, base: ast.expr, exponent: ast.expr) -> str:
        return f"{self.within(base, _ATOM)}^{{{self.raised(exponent)}}}"

    def call(self, name: str, arguments: list[ast.expr]) -> tuple[str, int]:
        if name == "sum_over" and len(arguments) == 2:
            return rf"\sum_{{{self.write(arguments[0])[0]}}} {self.within(arguments[1], _PRODUCT)}", _PRODUCT
        if name == "root" and len(arguments) == 4:
            unknown, equation, low, high = (self.write(argument)[0] for argument in arguments)
            text = rf"\left[{unknown}\colon\ {equation} = 0,\ {unknown} \in \left({low}, {high}\right)\right]"
            return text, _ATOM
        if name == "where" and len(arguments) == 3:
            condition, yes, no = (self.write(argument)[0] for argument in arguments)
            return rf"\begin{{cases}} {yes} & {condition} \\ {no} & \text{{otherwise}} \end{{cases}}", _PRODUCT
        if len(arguments) == 1:
            (argument,) = arguments
            if name == "exp" and not any(isinstance(part, ast.Div) for part in ast.walk(argument)):
                return f"e^{{{self.raised(argument)}}}", _POWER
            inside = self.write(argument)[0]
            match name:
                case "sqrt":
                    return rf"\sqrt{{{inside}}}", _ATOM
                case "abs":
                    return rf"\left\lvert {inside} \right\rvert", _ATOM
                case "square":
                    return f"{self.within(argument, _ATOM)}^{{2}}", _POWER
                case "log1p":
                    return rf"\ln\left(1 + {inside}\right)", _ATOM
                case "expm1":
                    return rf"e^{{{self.raised(argument)}}} - 1", _SUM
                case "expit":
                    return rf"\sigma\left({inside}\right)", _ATOM
        head = _NAMED.get(name, rf"\operatorname{{{_escaped(name)}}}")
        return rf"{head}\left({', '.join(self.write(argument)[0] for argument in arguments)}\right)", _ATOM


def _number(value: float) -> tuple[str, int]:
    digits, _, power = f"{value:.12g}".partition("e")
    if not power:
        return digits, _ATOM
    scale = f"10^{{{int(power)}}}"
    return (scale, _POWER) if digits == "1" else (rf"{digits} \times {scale}", _PRODUCT)
