"""The words that make the keys of facets: the same for one network and domain, everywhere and always.

What is made of them is left to the kernels, and the joining to `facet_join`.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from regions.domain import Domain
from regions.network.relu_network import Network

NAMES = ("unit_keys", "facet_keys")
_PURPOSE = b"regions, keys of facets, 1;"


def facet_words(network: Network, domain: Domain, n_units: int) -> dict[str, NDArray[np.uint64]]:
    """Return two words for each unit, and two more, drawn by a digest of the network and the domain.

    So whoever lists parts of one tree has the same keys, in any process and on any machine. Whoever makes a
    network or a domain whose keys would collide under some words gets others for it.

    Examples
    --------
    >>> from regions import Box
    >>> network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> boxes = Box([-1.0], [1.0]), Box([-1.0], [1.0]), Box([0.0], [1.0])
    >>> one, again, other = (facet_words(network, box, 1) for box in boxes)
    >>> [bool((one["unit_keys"] == words["unit_keys"]).any()) for words in (again, other)]
    [True, False]
    """
    text = network.digest() + json.dumps(domain.to_dict(), sort_keys=True)
    size = 8 * (n_units + 1)
    stream = hashlib.shake_256(_PURPOSE + text.encode()).digest(len(NAMES) * size)
    words = np.frombuffer(stream, "<u8").astype(np.uint64).reshape(len(NAMES), -1)
    return {name: np.ascontiguousarray(row) for name, row in zip(NAMES, words, strict=True)}
