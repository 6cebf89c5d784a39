"""Where benchmarks only have to run, those of the largest networks are left out: tests count their cells."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

LARGE = ("d2_w256x4", "d4_w32x2", "d5_w16x3", "acasxu")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("benchmark_disable", False):
        return
    large = [item for item in items if isinstance(item, pytest.Function) and _is_large(item)]
    config.hook.pytest_deselected(items=large)
    items[:] = [item for item in items if item not in large]


@pytest.fixture(autouse=True, scope="session")
def one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where benchmarks only have to run, others run beside them: waiting threads of BLAS take their time."""
    with threadpool_limits(1 if request.config.getoption("benchmark_disable", False) else None):
        yield


def _is_large(item: pytest.Function) -> bool:
    return hasattr(item, "callspec") and item.callspec.params.get("name") in LARGE
