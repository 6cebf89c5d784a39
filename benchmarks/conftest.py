"""Where benchmarks only have to run, those of the largest networks are left out: tests count their cells."""

from __future__ import annotations

import pytest

LARGE = ("d2_w256x4", "d4_w32x2", "d5_w16x3", "acasxu")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("benchmark_disable", False):
        return
    large = [item for item in items if isinstance(item, pytest.Function) and _is_large(item)]
    config.hook.pytest_deselected(items=large)
    items[:] = [item for item in items if item not in large]


def _is_large(item: pytest.Function) -> bool:
    return hasattr(item, "callspec") and item.callspec.params.get("name") in LARGE
