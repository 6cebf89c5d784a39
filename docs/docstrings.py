"""Docstrings in numpy's form as reStructuredText: what is between a name and its page in the reference.

Sections become headings of lists, names in backticks become links where they are public. Everything else is
text, in which nothing is markup.
"""

from __future__ import annotations

import re
from collections.abc import Collection

LISTS = ("Parameters", "Attributes", "Raises", "Yields", "Returns")
ENTRY = re.compile(r"(\*{0,2}[A-Za-z_][\w, *]*?)\s+: (.*)")
EMPHASIS = re.compile(r"(?<![\w*])\*[A-Za-z][^*]*\*(?![\w*])")


def to_rst(lines: list[str], public: Collection[str]) -> list[str]:
    """Return a docstring as lines of reStructuredText."""
    found: list[str] = []
    for title, body in sections(lines):
        if title:
            found += ["", f".. rubric:: {title}", ""]
        if title in LISTS:
            found += entries(body, public)
        else:
            found += [
                line if line.lstrip().startswith((">>>", "...")) else plain(line, public) for line in body
            ]
    return [*found, ""]


def sections(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Cut at titles that are underlined with dashes; the first section has no title."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.strip() and following.strip() and not following.strip("- "):
            found.append((line.strip(), []))
        elif line.strip("- ") or not line.strip() or not found[-1][0] or found[-1][1]:
            found[-1][1].append(line)
    return found


def entries(body: list[str], public: Collection[str]) -> list[str]:
    """Return the entries of a section as a list: a line without indent begins one, others go on."""
    found: list[str] = []
    for line in body:
        words = line.strip()
        if not words:
            continue
        if line.startswith(" ") and found:
            found[-1] += " " + plain(words, public)
            continue
        entry = ENTRY.fullmatch(words)
        if entry:
            name = entry[1].replace("*", "\\*")
            found.append(f"- **{name}**: {plain(entry[2], public)}")
        else:
            found.append(f"- {plain(words, public)}")
    return found


def plain(line: str, public: Collection[str]) -> str:
    """Escape what would be markup, but for text in backticks and *emphasis*."""
    parts = re.split(r"(``.+?``|`[^`]+`)", line)
    return "".join(_quoted(part, public) if part.startswith("`") else _text(part) for part in parts)


def _quoted(part: str, public: Collection[str]) -> str:
    name = part.strip("`")
    if name.removeprefix("regions.") in public:
        return f":py:obj:`{name} <regions.{name.removeprefix('regions.')}>`"
    return f"``{name}``"


def _text(part: str) -> str:
    kept = EMPHASIS.findall(part)
    pieces = EMPHASIS.split(part)
    escaped = [re.sub(r"(?<=\w)_(?!\w)", r"\\_", re.sub(r"([\\*|])", r"\\\1", piece)) for piece in pieces]
    return "".join(a + b for a, b in zip(escaped, [*kept, ""], strict=True))
