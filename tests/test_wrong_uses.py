"""Law of `docs/wrong-uses.md`: what its table says is what each wrong use says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "wrong-uses.md"
ROW = re.compile(r"^\| `(?P<code>.+?)` \| `(?P<kind>\w+)` \| (?P<says>.+) \|$", re.MULTILINE)
ROWS = [tuple(match.groups()) for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def names():
    """What the page's own lines define."""
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(lines, names)
    return names


def test_the_table_has_forty_rows():
    assert len(ROWS) >= 40
    assert len({code for code, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("code", "kind", "says"), ROWS, ids=[code for code, _, _ in ROWS])
def test_a_wrong_use_says_what_the_table_says(names, tmp_path, monkeypatch, code, kind, says):
    monkeypatch.chdir(tmp_path)  # where there are no files
    with pytest.raises((names["RegionsError"], TypeError)) as raised:
        eval(code, dict(names))
    assert (type(raised.value).__name__, " ".join(str(raised.value).split())) == (kind, says)


def test_what_a_wrong_use_says_has_no_line_of_code_in_it():
    for code, _, says in ROWS:
        assert "Traceback" not in says and "0x" not in says.replace("0x3", ""), code
        assert len(says) <= 260, code
