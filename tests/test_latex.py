"""LaTeX from the text of laws: precedence, fractions, symbols, calls, and what is no expression."""

import pytest

from isoloss.law.latex import symbol, typeset
from isoloss.law.view import aligned, html_card


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("E + A / N**alpha", r"E + \frac{A}{N^{\alpha}}"),
        ("a - (b - c)", r"a - \left(b - c\right)"),
        ("a - b * c", r"a - b \, c"),
        ("(a + b) * c", r"\left(a + b\right) \, c"),
        ("2 * 3", r"2 \cdot 3"),
        ("-x**2", r"-x^{2}"),
        ("(-x)**2", r"\left(-x\right)^{2}"),
        ("x**-a", r"x^{-a}"),
        ("x**(a / b)", r"x^{a / b}"),
        ("x**(a / (b * c))", r"x^{a / \left(b \, c\right)}"),
        ("(a / b) / c", r"\frac{\frac{a}{b}}{c}"),
        ("exp(-gamma * L)", r"e^{-\gamma \, L}"),
        ("exp(a / b)", r"\exp\left(\frac{a}{b}\right)"),
        ("log(N) + log2(D) + log10(C)", r"\ln\left(N\right) + \log_2\left(D\right) + \log_{10}\left(C\right)"),
        ("sqrt(x) + abs(y) + square(z)", r"\sqrt{x} + \left\lvert y \right\rvert + z^{2}"),
        ("log1p(x) * expm1(y)", r"\ln\left(1 + x\right) \, \left(e^{y} - 1\right)"),
        ("min(n, 2 * x)", r"\min\left(n, 2 \, x\right)"),
        ("where(x <= 1, a, b)", r"\begin{cases} a & x \le 1 \\ b & \text{otherwise} \end{cases}"),
        ("1e-5 * x + 2.5e20", r"10^{-5} \, x + 2.5 \times 10^{20}"),
        # A word of Python is a name here.
        ("lambda * x", r"\lambda \, x"),
        ("sum_over(k, k.lr * k.S1)", r"\sum_{k} {\mathrm{lr}}_{k} \, {S_{1}}_{k}"),
        ("root(L, L - x, 0, 9)", r"\left[L\colon\ L - x = 0,\ L \in \left(0, 9\right)\right]"),
        ("L = a", "L = a"),
        ("a == b", "a = b"),
    ],
)
def test_expressions(text, latex):
    assert typeset(text) == latex


@pytest.mark.parametrize("text", ["E + * A", "f(x)(y)", "'text'", "x if y else z", "a_1 & b"])
def test_what_is_no_expression_stays_text(text):
    told = typeset(text)
    assert told.startswith(r"\texttt{")
    assert "&" not in told.replace(r"\&", "")


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("alpha", r"\alpha"),
        ("B_star", r"B_{\mathrm{star}}"),
        ("L_inf", r"L_{\infty}"),
        ("Nc", "N_{c}"),
        ("nu", r"\nu"),
        ("N0", "N_{0}"),
        ("b2_1", "b_{2,1}"),
        ("batch", r"\mathrm{batch}"),
        ("_x", r"\mathrm{\_x}"),
    ],
)
def test_symbols(name, latex):
    assert symbol(name) == latex


def test_cards_escape_what_html_would_read():
    shown = html_card(["a<b", "  x > 1"], "a < b")
    assert "<strong>a&lt;b</strong>" in shown
    assert "<pre>  x &gt; 1</pre>" in shown
    assert "$$a &lt; b$$" in shown
    assert html_card(["  L = a"], "L = a").startswith('<div class="isoloss-card">$$')
    assert aligned(r"a \\ b") == r"\begin{gathered} a \\ b \end{gathered}"
