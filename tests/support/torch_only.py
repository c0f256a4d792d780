"""Training batch by batch, by torch, where a test wants to look on."""

from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from skaernn._training import compiled
from skaernn.networks._sequences._layers import compiled as layers


@contextmanager
def by_torch():
    """Training without compiled kernels."""
    with ExitStack() as stack:
        for module in (compiled, layers):
            stack.enter_context(patch.object(module, "compiled_kernels", lambda: None))
        yield
