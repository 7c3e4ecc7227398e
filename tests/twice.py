"""Tests on drawn examples: a few of them in `make test`, many in `make test-slow`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings


def twice(check: Callable[..., None], few: int, many: int, *drawn: Any, **named: Any) -> Any:
    """Return a quick and a slow test of `check`, with so many examples of these strategies each."""
    ignored = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]

    def test(number: int) -> Any:
        options = settings(max_examples=number, suppress_health_check=ignored)
        return options(given(*drawn, **named)(check))

    return test(few), pytest.mark.slow(test(many))
