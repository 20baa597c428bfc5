"""One node for all tests that leave it as it was. Set-up brings its programs: python3 -m tools.setup --parts node"""

from collections.abc import Iterator

import pytest

from sandbox.node.node import Node
from tests.doubles.real_node import images


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node without a stack."""
    with Node(tmp_path_factory.mktemp("node") / "home", images()) as running:
        yield running
