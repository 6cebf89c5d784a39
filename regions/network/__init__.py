"""Networks: affine maps in a chain, some followed by ReLUs; loaders read them from elsewhere."""

from regions.network.relu_network import Network

__all__ = ["Network"]
