"""Global state that a call must leave as it was."""

# ruff: noqa: NPY002  (numpy's global generator is part of what is tested)

import random

import numpy as np
import pytest
import sklearn
import torch


def global_state():
    return {
        "numpy": repr(np.random.get_state(legacy=False)),
        "python": random.getstate(),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        "matmul": torch.get_float32_matmul_precision(),
        "flush denormal": torch.tensor([1e-40]).mul(0.5).item() == 0,
        "numpy errors": np.geterr(),
        "sklearn": sklearn.get_config(),
    }


@pytest.fixture
def unusual_settings():
    """Every global setting away from its default, so that resetting to defaults shows."""
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    with torch.no_grad():
        yield
    torch.use_deterministic_algorithms(False)
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(threads)
