"""Weights that fade become zeros, not subnormal numbers, with which arithmetic crawls."""

import numpy as np
import pytest
import torch

from skaernn import AutoencoderTransformer
from skaernn._training.loop import TrainingState
from skaernn._training.solvers import SOLVERS

NOISE = np.random.default_rng(0).normal(size=(1000, 20))


def test_dead_weights_are_zero():
    model = AutoencoderTransformer(
        3, (32,), alpha=50.0, max_iter=300, batch_size=50, random_state=0
    ).fit(NOISE.astype(np.float32))
    weights = torch.cat([w.flatten() for w in model.module_.parameters()]).abs()
    assert (weights == 0).sum() > 100  # else nothing has been tried
    tiny = torch.finfo(torch.float32).tiny
    assert not ((weights > 0) & (weights < tiny)).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_settling_spares_what_counts(name, dtype):
    limits = torch.finfo(dtype)
    kept = torch.tensor([[1.0, -1e-20, 2 * limits.tiny / limits.eps, 0.0]], dtype=dtype)
    faded = torch.tensor(
        [[limits.tiny, -limits.tiny / 2, limits.tiny / limits.eps / 2]], dtype=dtype
    )
    state = TrainingState.at(torch.cat([kept, faded], dim=1))
    state.slots = {"moment": state.theta.clone(), "step": torch.tensor(limits.tiny, dtype=dtype)}
    SOLVERS[name]().settle(state)
    for numbers in (state.theta, state.slots["moment"]):
        assert torch.equal(numbers, torch.cat([kept, torch.zeros_like(faded)], dim=1))
    assert state.slots["step"] > 0


def test_the_processor_is_left_alone():
    subnormal = torch.tensor([1e-39])
    before = bool((subnormal * 1.0).item())
    for flushes in (True, False):
        torch.set_flush_denormal(flushes)
        AutoencoderTransformer(2, (4,), max_iter=2, random_state=0).fit(NOISE[:20])
        assert bool((subnormal * 1.0).item()) != flushes
    torch.set_flush_denormal(not before)
