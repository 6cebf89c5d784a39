"""`regions info`: what a network is, what can be asked of it, and about how many cells it has on a domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regions.cli.groups import grouped
from regions.cli.options import AsJson, DomainWords, NetworkPath, ReadingWords
from regions.cli.session import print_facts, print_json, print_table, watched
from regions.errors import RegionsError

if TYPE_CHECKING:
    from regions.domain import Domain
    from regions.network.relu_network import Network

# what takes no max units, and says so when asked
WITHOUT_MAX_UNITS = (
    "the closed form of local complexity",
    "gradient_tail",
    "inequalities",
)


@grouped
def info(
    net: NetworkPath,
    where: DomainWords,
    reading: ReadingWords,
    seconds: Annotated[
        float, typer.Option(help="With a domain: how long to probe for the number of cells; 0: not at all.")
    ] = 2.0,
    json: AsJson = False,
) -> None:
    """Say what a network is made of and what is supported; with a domain, about how many cells it has there.

    The number of cells is an estimate, unless the time is enough to count them all.
    """
    network = reading.load(net)
    facts = network_facts(network)
    if where != DomainWords():
        facts["on_domain"] = _domain_facts(network, where.build(network), seconds)
    if json:
        print_json(facts)
    else:
        _print(facts)


def network_facts(network: Network) -> dict[str, Any]:
    """Return what a network is made of, and what takes it."""
    layers = [_layer_facts(network, k) for k in range(network.n_layers)]
    return {
        "network": network.describe(),
        "inputs": network.input_dim,
        "outputs": network.output_dim,
        "units": network.n_units,
        "cutting_units": int(network.cutting.sum()),
        "parameters": sum(layer["parameters"] for layer in layers),
        "digest": network.digest(),
        "layers": layers,
        "unsupported": list(WITHOUT_MAX_UNITS) if network.max_units is not None else [],
    }


def _layer_facts(network: Network, k: int) -> dict[str, Any]:
    """Return the shape of an affine layer, its entries that are not 0, and what follows it."""
    from regions.network.layer_matrices import is_sparse, values_of

    weight, pair, sizes = network.operators[k], network.slopes[k], network.maxima[k]
    rows = int(weight.shape[0])
    if sizes is not None:
        units = f"{len(sizes)} max units of {int(min(sizes))} to {int(max(sizes))} rows"
    elif pair is not None:
        units = f"{rows} units with slopes, {int((pair[0] != pair[1]).sum())} of them bend"
    else:
        units = f"{rows} ReLUs" if network.relu[k] else "none"
    entries = int((values_of(weight) != 0.0).sum())
    return {
        "shape": [rows, int(weight.shape[1])],
        "kept": "sparse" if is_sparse(weight) else "dense",
        "parameters": entries + int((network.biases[k] != 0.0).sum()),
        "units": units,
    }


def _domain_facts(network: Network, domain: Domain, seconds: float) -> dict[str, Any]:
    """Return which engines take a domain, and an estimate of its cells, if there is time for one."""
    facts: dict[str, Any] = {
        "domain": domain.describe(),
        "dimension": domain.dimension,
        "volume": domain.volume if domain.is_bounded else None,
        "count": _engine(network, domain, volumes=False),
        "list": _engine(network, domain, volumes=True),
        "cells": None,
    }
    if seconds:
        import numpy as np

        from regions.runs import estimate_cells

        with watched("probing"):
            found = estimate_cells(network, domain, rng=np.random.default_rng(), seconds=seconds)
        facts["cells"] = {
            "estimate": found.cells,
            "interval": [found.low, found.high],
            "exact": found.is_exact,
            "probes": found.n,
        }
    return facts


def guess_cells(network: Network, domain: Domain, arithmetic: str) -> Callable[[], Any]:
    """Return what estimates the number of cells in half a second, for a bar."""

    def estimate() -> Any:
        import numpy as np

        from regions.runs import estimate_cells

        rng = np.random.default_rng()
        return estimate_cells(network, domain, rng=rng, seconds=0.5, arithmetic=arithmetic)  # type: ignore[arg-type]

    return estimate


def _engine(network: Network, domain: Domain, *, volumes: bool) -> str:
    """Name the engine that takes a domain, and why that one, or say why none does."""
    from regions.domain import Unbounded
    from regions.enumeration.homogeneous import of_cones, searched
    from regions.enumeration.planning import plan_search
    from regions.enumeration.unbounded_search import check_listed

    try:
        if volumes and isinstance(domain, Unbounded):
            check_listed(network, domain)
            cells = network, domain.clipped(1.0)
        else:
            cells = searched(network, domain, "auto")
        plan = plan_search(*cells, "auto", "certified", 1, volumes=volumes)
    except RegionsError as error:
        return f"none: {error}"
    if domain.is_bounded:
        return f"{plan.engine} ({plan.reason})"
    return (
        f"{plan.engine} ({f'in a box that shows all, {plan.reason}' if volumes else of_cones(plan.reason)})"
    )


def _print(facts: dict[str, Any]) -> None:
    """Print the same for people."""
    units = f"{facts['units']:,}"
    if facts["cutting_units"] != facts["units"]:
        units += f", {facts['cutting_units']:,} of them bend"
    shown: dict[str, object] = {
        "network": facts["network"],
        "inputs": f"{facts['inputs']:,}",
        "outputs": f"{facts['outputs']:,}",
        "units": units,
        "parameters": f"{facts['parameters']:,} that are not 0",
        "digest": facts["digest"],
        "supported": "everything",
    }
    if facts["unsupported"]:
        shown["supported"] = "everything but " + ", ".join(facts["unsupported"])
    here = facts.get("on_domain")
    if here is not None:
        shown |= {"domain": here["domain"], "count by": here["count"], "list by": here["list"]}
        shown["cells"] = _cells_in_words(here["cells"])
    print_facts(shown)
    rows = [
        (k, "{} x {}".format(*layer["shape"]), layer["kept"], f"{layer['parameters']:,}", layer["units"])
        for k, layer in enumerate(facts["layers"])
    ]
    print_table(["layer", "weights", "kept", "not 0", "units"], rows, words=(2, 4))


def _cells_in_words(cells: dict[str, Any] | None) -> str:
    """Return an estimate in words."""
    if cells is None:
        return "not estimated"
    if cells["exact"]:
        return f"{cells['estimate']:,.0f} (all counted)"
    low, high = cells["interval"]
    return f"about {cells['estimate']:,.3g}, likely {low:,.3g} to {high:,.3g} (an estimate)"
