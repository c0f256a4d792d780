"""Settings that must stand before anything is imported."""

import os

# Read by scipy when it is imported; without it one common check is skipped.
os.environ["SCIPY_ARRAY_API"] = "1"
# Two processes test side by side: threads that wait for a core must not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from importlib.util import find_spec

import torch
from settings import unusual_settings  # noqa: F401 - a fixture for all

from skaernn._native.library import kernels

# torch says many warnings once in a process, so that one test would hide them from the others.
torch.set_warn_always(True)

# Callbacks came with scikit-learn 1.9. That they are absent before is tested in test_routing.py.
collect_ignore = ["contracts/test_callbacks.py", "contracts/test_sequence_callbacks.py"]
if find_spec("sklearn.callback"):
    collect_ignore = []


def pytest_report_header():
    """Which kernels the answers of fitted networks come from."""
    return f"kernels: {kernels()}"
