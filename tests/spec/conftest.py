"""Every test of the specification runs on every implementation."""

from importlib import import_module
from importlib.util import find_spec

import pytest

pytest.register_assert_rewrite("tests.spec.notation")

from tests.model import adapter  # noqa: E402
from tests.model.adapter import Implementation  # noqa: E402

IMPLEMENTATIONS = [Implementation("model", adapter.encode, adapter.decode)]
if find_spec("tests.adapter"):
    product = import_module("tests.adapter")
    IMPLEMENTATIONS.append(Implementation("product", product.encode, product.decode))


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda each: each.name)
def implementation(request: pytest.FixtureRequest) -> Implementation:
    """The model and, where tests/adapter.py offers it, the product."""
    chosen: Implementation = request.param
    return chosen
