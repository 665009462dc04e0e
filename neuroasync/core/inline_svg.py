"""Small drawings as SVG text, for notebooks. Texts are escaped."""

from collections.abc import Iterable
from html import escape

__all__ = ["label", "picture"]


def label(x: float, y: float, text: str, style: str = "") -> str:
    """Return a text at (x, y), its baseline; ``style`` holds attributes such as an anchor."""
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>'


def picture(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """Return an SVG element that adapts to the colour of the text around it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="max-width:100%;height:auto" '
        'font-family="sans-serif" font-size="12" fill="currentColor">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
