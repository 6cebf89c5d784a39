"""How the report reads: what stands before and behind the sections, and which tables are folded away.

Sections come from the experiments, numbers from their tables; words that hold without numbers stand here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from validation.framework import Section, prose

__all__ = ["NOTATION", "RELATED_WORK", "TITLE", "fold", "lift_decision_table", "paragraphs", "three_results"]

TITLE = "Local complexity of ReLU networks, against exact values"

NOTATION = """\
A network is z_{l+1} = W_{l+1} a(z_l) + b_{l+1}, a the positive part; units are the coordinates z_i of its
hidden layers, p the density of the data on a domain of dimension d, and rho the density of N(0, sigma^2).

- The *activation locus* is where some z_i = 0, the *nonlinear locus* B_N the part of it where the gradient
  of the network jumps. A unit is *good* at x if a path of nonzero weights and active units leads from it to
  an output, its own activation being 0.
- *Local complexity* is LC = E_b' of the integral of p over B_N, for independent noise N(0, sigma^2) on
  every bias; by the co-area formula it is E sum_i ‖grad z_i‖ rho(z_i) 1[i good], z_i without its own noise.
  With `noise="relative"` the noise of unit i is sigma times its *spread*, the standard deviation of z_i
  over the data.
- LR_l is the *local rank* of layer l, the mean number of singular values of its Jacobian above eps; TV = E
  ‖grad N‖ the *total variation*; C_grad the largest ‖J_l‖, C_l the Lipschitz constant of the network behind
  layer l; C_bias = max rho, c_eta = rho(eta).
- *Exact* means: all cells enumerated, with certified signs, and integrals over facets in closed form or by
  cubature with a bound; where an average over bias draws remains, its standard error is given. Intervals
  are of 95 %; z is a difference over its standard error.
"""

RELATED_WORK = """\
Patel and Montúfar define local complexity and bound it by gradients, local rank and total variation; their
code estimates it from one draw of the noise. Hanin and Rolnick give the density of the locus at
initialisation, the distance to it, and the law of the number of regions; what is proven there for random
networks is here held against counts of single ones. Humayun, Balestriero and Baraniuk call another number
local complexity: how many units change sign among the vertices of a cross-polytope; it is a count at a
scale and no density. Kogan, Jananthan and Kepner count the pieces of networks of one input, Tseran and
Montúfar the regions of maxout networks. Enumerations of regions by others (see the comparison in the
documentation) give numbers of cells. What was missing is the truth of the *estimators*: we know of nothing
published that holds one against the value that it estimates.
"""

# the three results of the abstract: what each is called, and whose headlines it takes
_RESULTS = (
    (
        "Estimate it by the co-area formula, or by lines where noise is small.",
        ("estimator_error", "variants"),
    ),
    ("Over long training local complexity and local rank come apart.", ("long_training",)),
    ("A fixed noise measures the scale of the weights too.", ("rescaling", "inequality_slack")),
)
_OF_DECISIONS = "| for 1 % |"
# tables with more rows, or of z, are folded where there is a figure in their place
_MANY = 9
_WORDS = 95


def three_results(sections: dict[str, Section], more: dict[str, str]) -> str:
    """Return the numbered results that people can use, of the experiments that are there.

    Parameters
    ----------
    sections : by the experiments' names
    more : sentences to add, by the name of the last experiment before them
    """
    parts = []
    for title, names in _RESULTS:
        told = [
            sentence
            for name in names
            for sentence in (sections[name].headline if name in sections else "", more.get(name, ""))
            if sentence
        ]
        if told:
            parts.append(f"{len(parts) + 1}. **{title}** {' '.join(told)}")
    return "\n".join(parts)


def others(sections: dict[str, Section]) -> str:
    """Return the headlines of all other experiments, one a line."""
    used = {name for _, names in _RESULTS for name in names}
    return "\n".join(
        f"- {one.headline}" for name, one in sections.items() if name not in used and one.headline
    )


def paragraphs(text: str) -> str:
    """Return a long text as paragraphs of about as many words, broken between sentences.

    Examples
    --------
    >>> paragraphs("One. " * 3)
    'One. One. One.'
    """
    sentences = re.split(r"(?<=[.?!]) (?=[A-Z*])", prose(text))
    found: list[list[str]] = [[]]
    for sentence in sentences:
        if sum(len(one.split()) for one in found[-1]) >= _WORDS:
            found.append([])
        found[-1].append(sentence)
    return "\n\n".join(" ".join(own) for own in found)


def lift_decision_table(table: str) -> tuple[str, str]:
    """Return the tables of a section without the one of decisions, and that one, "" if there is none."""
    blocks = table.split("\n\n")
    lifted = [block for block in blocks if block.startswith(_OF_DECISIONS)]
    return "\n\n".join(block for block in blocks if block not in lifted), "\n\n".join(lifted)


def fold(table: str, with_figure: bool) -> str:
    """Fold long tables, and where a figure shows the same those of z, behind their first words.

    Examples
    --------
    >>> print(fold("| case | z |\\n|:--|--:|\\n| a | 1 |", True))
    <details><summary>Table: case, z (1 row)</summary>
    <BLANKLINE>
    | case | z |
    |:--|--:|
    | a | 1 |
    <BLANKLINE>
    </details>
    """
    blocks = table.split("\n\n")
    return "\n\n".join(_folded(block) if _is_long(block, with_figure) else block for block in blocks)


def _is_long(block: str, with_figure: bool) -> bool:
    lines = block.split("\n")
    if not block.startswith("|"):
        return False
    names = _names(lines[0])
    of_z = any(name == "z" or "|z|" in name or name.startswith("z ") for name in names)
    return with_figure and (of_z or len(lines) - 2 > _MANY)


def _folded(block: str) -> str:
    lines = block.split("\n")
    count = len(lines) - 2
    names = ", ".join(_names(lines[0])[:4])
    summary = f"Table: {names} ({count} row{'s' if count != 1 else ''})"
    return f"<details><summary>{summary}</summary>\n\n{block}\n\n</details>"


def _names(header: str) -> list[str]:
    cells: Iterable[str] = re.split(r"(?<!\\)\|", header)[1:-1]
    return [cell.strip().replace("\\|", "|") for cell in cells]


def limits(named: Sequence[tuple[str, Section]]) -> str:
    """Return what each section cannot say, one paragraph for each."""
    return "\n\n".join(f"*{title}.* {section.limits}" for title, section in named if section.limits)
