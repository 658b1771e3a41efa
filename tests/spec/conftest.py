"""Every test of the specification runs on every implementation."""

from importlib import import_module
from importlib.util import find_spec
from random import Random

import pytest

from tests.model import adapter
from tests.model.adapter import Implementation
from tests.model.rows import Row
from tests.model.settings import Settings

IMPLEMENTATIONS = [Implementation("model", adapter.encode, adapter.decode)]
if find_spec("tests.adapter"):
    product = import_module("tests.adapter")
    IMPLEMENTATIONS.append(Implementation("product", product.encode, product.decode))

    def encode_blocks(rows: list[Row], settings: Settings) -> bytes:
        """Several instructions a retirement block, as many as can be."""
        return product.encode(rows, settings, Random(0))  # type: ignore[no-any-return]

    def encode_by_flow_chart(rows: list[Row], settings: Settings) -> bytes:
        """Without the short cut for plain stretches, which do nearly all in small examples."""
        return product.encode(rows, settings, plain=False)  # type: ignore[no-any-return]

    IMPLEMENTATIONS.append(Implementation("blocks", encode_blocks, product.decode))
    IMPLEMENTATIONS.append(Implementation("flow chart", encode_by_flow_chart, product.decode))


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda each: each.name)
def implementation(request: pytest.FixtureRequest) -> Implementation:
    """The model and, where tests/adapter.py offers it, the product, with either kind of block."""
    chosen: Implementation = request.param
    return chosen
