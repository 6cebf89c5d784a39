"""REPORT.html: the report as one page that needs no other file, to read, to print or to make a PDF of.

Made of REPORT.md by markdown-it-py, which comes with rich and so with the package: nothing more is to be
installed, and the page stays the same text. Pictures are in it, reduced to few colours.
"""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

__all__ = ["write_html"]

_COLOURS = 48
_STYLE = """
:root { color-scheme: light; }
body { font: 11pt/1.5 Georgia, 'Times New Roman', serif; color: #1a1a1a; max-width: 46rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.9rem; line-height: 1.2; text-align: center; margin: 2rem 0 1rem; }
h2 { font-size: 1.3rem; margin-top: 2.2rem; border-bottom: 1px solid #bbb; padding-bottom: .2rem; }
h3 { font-size: 1.08rem; }
p { text-align: justify; hyphens: auto; }
table { border-collapse: collapse; font: 8.5pt/1.35 'Helvetica Neue', Arial, sans-serif; margin: 1rem auto;
  display: block; overflow-x: auto; max-width: 100%; width: fit-content; }
th { border-top: 1.5px solid #000; border-bottom: 1px solid #000; vertical-align: bottom; }
th, td { padding: .15rem .5rem; font-variant-numeric: tabular-nums; }
tbody tr:last-child td { border-bottom: 1.5px solid #000; }
img { display: block; margin: 1.2rem auto .4rem; max-width: 100%; }
img + em, p > em:only-child { font-size: .9em; color: #444; }
code { font-size: .88em; background: #f3f3f3; padding: 0 .15em; }
details { margin: .8rem 0; }
summary { font: 9pt 'Helvetica Neue', Arial, sans-serif; color: #335; cursor: pointer; }
nav ul { columns: 2; font-size: .92em; list-style: none; padding: 0; }
nav .h3 { padding-left: 1.2em; }
@media print { body { max-width: none; margin: 0; font-size: 9.5pt; } details:not([open]) { display: none; }
  h2, h3 { break-after: avoid; } img, tr { break-inside: avoid; } @page { size: A4; margin: 20mm 18mm; } }
"""


def write_html(root: Path) -> Path:
    """Write REPORT.html beside REPORT.md, from it and the figures that it names."""
    from markdown_it import MarkdownIt

    text = (root / "REPORT.md").read_text(encoding="utf-8")
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    body, contents = _with_anchors(body)
    body = re.sub(r'src="([^":]+\.png)"', lambda found: f'src="{_inside(root / found[1])}"', body)
    end = body.index("</h1>") + len("</h1>") if "</h1>" in body else 0
    title = text.split("\n", 1)[0].lstrip("# ")
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n'
        f"</head>\n<body>\n{body[:end]}\n{contents}\n{body[end:]}</body>\n</html>\n"
    )
    path = root / "REPORT.html"
    path.write_text(page, encoding="utf-8")
    return path


def _with_anchors(body: str) -> tuple[str, str]:
    """Give the sections anchors, and return a list of them, parts with their own lists."""
    entries: list[str] = []
    count = 0

    def anchored(found: re.Match[str]) -> str:
        nonlocal count
        count += 1
        level, title = found[1], found[2]
        entries.append(f'<li class="h{level}"><a href="#section-{count}">{title}</a></li>')
        return f'<h{level} id="section-{count}">{title}</h{level}>'

    main, mark, behind = body.partition("<h2>Appendix")
    main = re.sub(r"<h([23])>(.*?)</h\1>", anchored, main)
    behind = re.sub(r"<h(2)>(.*?)</h\1>", anchored, f"{mark}{behind}")
    return f"{main}{behind}", f"<nav><ul>{''.join(entries)}</ul></nav>"


def _inside(path: Path) -> str:
    """Return a picture as part of the page."""
    from PIL import Image

    content = io.BytesIO()
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
        few.save(content, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
