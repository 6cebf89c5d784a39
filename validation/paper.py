"""How the report reads: its parts and their order, what stands before the sections and what behind.

Sections come from the experiments, numbers from their tables; words that hold without numbers stand here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from validation.framework import Section, prose

__all__ = [
    "NOTATION",
    "OF_DECISIONS",
    "PARTS",
    "RELATED_WORK",
    "TITLE",
    "SectionWithAppendix",
    "appendix_of",
    "decisions_of",
    "fold",
    "limits",
    "ordered",
    "paragraphs",
    "split_tables",
    "three_results",
    "unused_headline",
]


@dataclass(frozen=True)
class SectionWithAppendix(Section):
    """A section of which tables stand behind the text, and perhaps one in front of it.

    Parameters
    ----------
    appendix : str, tables that stand in the appendix
    decisions : str, the table of decisions
    """

    appendix: str = ""
    decisions: str = ""


TITLE = "Local complexity of ReLU networks, against exact values"

# the parts of the report, and the sections of each by the experiments' names
PARTS = (
    (
        "Estimators",
        ("estimator_error", "variants", "authors", "coverage", "crofton", "high_dimension"),
    ),
    ("What local complexity measures", ("rescaling", "three_measures", "constructions", "other_units")),
    ("Bounds", ("inequality_slack", "tightness", "lower_bounds", "kernel_regime")),
    ("Initialisation", ("initialisation", "hanin_rolnick")),
    ("Training", ("training", "long_training", "migration", "robustness")),
)
_OTHERS = "Other experiments"

NOTATION = """\
*Networks.* z_1 = W_1 x + b_1 and z_{l+1} = W_{l+1} a(z_l) + b_{l+1}, a the positive part. Units are the
coordinates z_i of the L hidden layers, n_l in layer l and N in all; f is the function of the last layer.
The data have a density p on a domain of dimension d; rho is the density of N(0, sigma^2). "he 2-16x3-1" is
a network of He's initialisation (normal weights of variance 2 / fan-in) with 2 inputs, 3 hidden layers of
16 units and 1 output; "torch" is PyTorch's (uniform in +-1 / sqrt(fan-in)). Digits are scikit-learn's of 8
x 8 pixels, and their density is a Gaussian kernel around each training image.

*Local complexity.* The *activation locus* is where some z_i = 0, the *nonlinear locus* the part of it where
grad f jumps. A unit is *good* at x if a path of nonzero weights and active units leads from it to an output,
its own activation being 0. Local complexity (LC) is the mean, over independent noise N(0, sigma^2) on every
bias, of the integral of p over the nonlinear locus. By the co-area formula (theorem 2) it is
E sum_i ‖grad z_i‖ rho(z_i) 1[i good], with z_i without its own noise. *Relative noise*, `noise="relative"`,
has sigma times the *spread* of the unit, the standard deviation of z_i over the data.

*Other measures.* J_l is the Jacobian of layer l; its *local rank* LR_l is the mean number of singular values
above eps, and the *rank* of a network the mean over its layers. TV = E ‖grad f‖ is the *total variation*.
C_grad is the largest ‖J_l‖, C_l the Lipschitz constant of the network behind layer l, C_bias = max rho,
c_eta = rho(eta), xi_eta = E sum_i ‖grad z_i‖ 1[|z_i| > eta], and B the sum over units of the measure of where
they are not good.

*Statements under test.* *The paper* is Patel and Montúfar's, and statements have its numbers. Corollary 3:
c_eta (E sum_i ‖grad z_i‖ - xi_eta) - C_bias E[B C_grad] <= LC <= C_bias E sum_i ‖grad z_i‖. Theorem 5:
LC <= C_bias sum_l sqrt(n_l (C_grad^2 LR_l + eps^2 n_l)), in a form that follows from corollary 3, as the
published prefactor could not be read in the copy at hand; from below, eps sum_l LR_l / sqrt(min(n_l, d))
takes the place of the first sum of corollary 3, and in theorem 7 L TV / max_l C_l does. Other statements
stand where they are tested.

*Errors.* A value is *exact* if all cells are enumerated, with certified signs, and integrals over facets
are in closed form or by cubature with a bound; where an average over draws of the biases remains, it has a
standard error. z is a difference over its standard error. Intervals are of 95 %, of means over networks or
seeds by Student's t, of the logarithms for ratios, which are written x 0.8 (0.7 to 0.9) in text; networks
of one seed share initial weights and minibatches and are paired. "Higher", "lower" and "undecided" are
verdicts at 5 % after Holm's correction over a section. In forest plots the dashed line is no difference,
red intervals leave it out, and hollow dots are undecided.
"""

RELATED_WORK = """\
Patel and Montúfar define local complexity, bound it by gradients, local rank and total variation, and report
how it falls over training; their code estimates it from one draw of the noise. The co-area formula goes
back to Hanin and Rolnick, who bound the expected number of regions, give the density of the locus at
initialisation and the distance to it, and find that training changes them little; their laws are of
expectations, and are held here against exact counts. Humayun, Balestriero and Baraniuk call another number
local complexity: how many units change sign among the vertices of a cross-polytope, a count at a scale and
no density. They report a descent and an ascent over training, and regions that migrate to the decision
boundary. Kogan, Jananthan and Kepner count the pieces of networks of one input, Tseran and Montúfar the
regions of maxout networks. Integrals by random lines are Crofton's (Santaló). SplineCam, edge subdivision,
SyReNN and relucent enumerate cells or faces (the documentation compares them with this library). We know of
nothing published that holds an estimator of local complexity against the value that it estimates.
"""

OF_DECISIONS = """\
The cheapest way to a standard error of 1 %, from the small networks of the next section on one core: which
estimator, how many draws, and processor time (medians). The smaller the noise, the rarer and larger the
terms of the co-area formula; lines do not feel it. Both are named where the interval of the ratio of their
times holds 1, or where fewer than three networks do not agree; appendix A has the ratios."""

# the three results of the abstract: what each is called, and whose headlines it takes
_RESULTS = (
    (
        "Estimate it by the co-area formula, or by lines where noise is small.",
        ("estimator_error", "variants", "authors"),
    ),
    ("Over long training local complexity and local rank come apart.", ("long_training",)),
    ("A fixed noise measures the scale of the weights too.", ("rescaling", "inequality_slack")),
)
# tables with more rows, or of z, stand in the appendix where there is a figure in their place
_MANY = 9
_WORDS = 130


def three_results(sections: Mapping[str, Section]) -> str:
    """Return the numbered results that people can use, of the experiments that are there.

    Parameters
    ----------
    sections : by the experiments' names
    """
    parts = []
    for title, names in _RESULTS:
        told = [sections[name].headline for name in names if name in sections and sections[name].headline]
        if told:
            parts.append(f"{len(parts) + 1}. **{title}** {' '.join(told)}")
    return "\n".join(parts)


def unused_headline(name: str, section: Section) -> str:
    """Return the headline of a section that the abstract does not have, else nothing."""
    return "" if any(name in names for _, names in _RESULTS) else section.headline


def appendix_of(section: Section) -> str:
    """Return the tables that a section has for the appendix."""
    return section.appendix if isinstance(section, SectionWithAppendix) else ""


def decisions_of(section: Section) -> str:
    """Return the table of decisions of a section, "" if it has none."""
    return section.decisions if isinstance(section, SectionWithAppendix) else ""


def ordered(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the parts of the report with the sections that are there; those of no part come last.

    Examples
    --------
    >>> ordered(["coverage", "mine", "variants"])
    [('Estimators', ['variants', 'coverage']), ('Other experiments', ['mine'])]
    """
    placed = {name for _, own in PARTS for name in own}
    parts = [(title, [name for name in own if name in names]) for title, own in PARTS]
    parts.append((_OTHERS, [name for name in names if name not in placed]))
    return [(title, own) for title, own in parts if own]


def paragraphs(text: str) -> str:
    """Return a long text as paragraphs of about as many words, broken between sentences.

    Where it has paragraphs already they stay.

    Examples
    --------
    >>> paragraphs("One. " * 3)
    'One. One. One.'
    """
    if "\n\n" in text:
        return "\n\n".join(prose(own) for own in text.split("\n\n"))
    sentences = re.split(r"(?<=[.?!]) (?=[A-Z*(])", prose(text))
    lengths = [len(one.split()) for one in sentences]
    count = max(1, round(sum(lengths) / _WORDS))
    found: list[list[str]] = [[] for _ in range(count)]
    before = 0
    for sentence, length in zip(sentences, lengths, strict=True):
        # by where its middle lies
        found[min(int((before + 0.5 * length) * count / sum(lengths)), count - 1)].append(sentence)
        before += length
    return "\n\n".join(" ".join(own) for own in found if own)


def split_tables(table: str, with_figure: bool) -> tuple[str, str]:
    """Return what stays in the text of a section's tables, and what stands in the appendix.

    Long tables, and those of z, are moved where a figure shows the same; a note goes with its table.

    Examples
    --------
    >>> split_tables("| case | z |\\n|:--|--:|\\n| a | 1 |\\n\\nA note.\\n\\n| b |\\n|:--|\\n| 1 |", True)
    ('| b |\\n|:--|\\n| 1 |', '| case | z |\\n|:--|--:|\\n| a | 1 |\\n\\nA note.')
    """
    kept: list[str] = []
    moved: list[str] = []
    place = kept
    for block in filter(None, table.split("\n\n")):
        if block.startswith("|"):
            place = moved if with_figure and _is_long(block) else kept
        place.append(block)
    return "\n\n".join(kept), "\n\n".join(moved)


def _is_long(block: str) -> bool:
    lines = block.split("\n")
    names = _names(lines[0])
    of_z = any(name == "z" or "|z|" in name or name.startswith("z ") for name in names)
    return of_z or len(lines) - 2 > _MANY


def fold(tables: str) -> str:
    """Fold tables behind their first words.

    Examples
    --------
    >>> print(fold("| case | z |\\n|:--|--:|\\n| a | 1 |"))
    <details><summary>Table: case, z (1 row)</summary>
    <BLANKLINE>
    | case | z |
    |:--|--:|
    | a | 1 |
    <BLANKLINE>
    </details>
    """
    blocks = filter(None, tables.split("\n\n"))
    return "\n\n".join(_folded(block) if block.startswith("|") else block for block in blocks)


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
    """Return what each section cannot say, one paragraph for each, by the sections' numbers."""
    told = "\n\n".join(f"*{number}.* {section.limits}" for number, section in named if section.limits)
    return f"{prose(_COMMON_LIMITS)}\n\n{told}" if told else ""


_COMMON_LIMITS = """\
Networks are small, as exact values need; digits of 8 x 8 pixels stand for MNIST; times are processor
seconds of this implementation on machines that may have been busy. The paper's statements are tested as
reported where its text was not at hand. What is undecided is not shown to be absent."""
