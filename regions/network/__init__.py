"""Networks: affine maps in a chain, some followed by ReLUs; loaders read them from elsewhere."""

from regions.network.locus_kind import LocusKind, check_kind
from regions.network.relu_network import Network

__all__ = ["LocusKind", "Network", "check_kind"]
