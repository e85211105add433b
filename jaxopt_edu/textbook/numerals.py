"""Numbers as the page writes them: 94 %, 34,535, 10⁻⁶, −0.5."""

import math
import re
from collections.abc import Sequence

import numpy as np

_EXPONENT = str.maketrans("0123456789-+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺")


def typeset(text: str) -> str:
    """Write the numbers in a text in one style.

    Exponents are raised, minus signs are minus signs, a percent sign stands apart, and commas divide numbers
    of five digits and more, but none of four.

    Args:
        text: with numbers as Python formats them.

    Returns:
        The same text, with those numbers changed only.

    >>> typeset("94%, 34535 steps of 1e-06 or 2.5e+07, from -7.0 to 1,037 in 2018")
    '94\\xa0%, 34,535 steps of 10⁻⁶ or 2.5 · 10⁷, from −7.0 to 1037 in 2018'
    """
    text = re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)e([-+−])0*(\d+)\b", _power, text)
    text = re.sub(r"(?<![\w.)\]])-(?=\d)", "−", text)
    text = re.sub(r"(?<=\d) ?%", "\xa0%", text)
    text = re.sub(r"(?<![\d.,])(\d),(\d{3})(?![\d,])", r"\1\2", text)
    return re.sub(r"(?<![\d.,])\d{5,}(?!\.?\d)", lambda found: f"{int(found[0]):,}", text)


def number(value: float | np.ndarray) -> str:
    """A number for readers: four digits, or all of a whole one below ten million.

    Args:
        value: any number.

    Returns:
        Such as "−0.0125", "1.2 · 10⁻⁵", "34,535" or "—" for NaN.

    >>> number(-0.01250001), number(1e-6), number(34535.2), number(float("nan"))
    ('−0.0125', '10⁻⁶', '34,535', '—')
    """
    value = float(value)
    if math.isnan(value):
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return typeset(f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}")


def span(low: float, high: float, spec: str, words: str = " to ") -> str:
    """From one number to another; one number where both are written alike.

    Args:
        low: the first.
        high: the second.
        spec: of their format, such as ".2f".
        words: between them.

    Returns:
        Such as "1.08 to 1.54", or "0.5" alone: without the zeros that say that there is no range.

    >>> span(1.08, 1.54, ".2f"), span(0.4999, 0.5001, ".3f")
    ('1.08 to 1.54', '0.5')
    """
    first, last = f"{low:{spec}}", f"{high:{spec}}"
    if first != last:
        return first + words + last
    return first.rstrip("0").rstrip(".") if "." in first else first


def point(place: Sequence[float]) -> str:
    """A point of the plane.

    Args:
        place: x and y.

    Returns:
        Such as "(−7, 2)".

    >>> point((-7.0, 2.0))
    '(−7, 2)'
    """
    return f"({', '.join(number(part) for part in place)})"


def _power(found: re.Match[str]) -> str:
    mantissa, sign, digits = found.groups()
    raised = ("" if sign == "+" else "-") + digits
    power = f"10{raised.translate(_EXPONENT)}"
    return power if float(mantissa) == 1 else f"{mantissa} · {power}"
