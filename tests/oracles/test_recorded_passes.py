"""Recurrent networks trained by compiled kernels beside the same by torch, batch by batch."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest
import torch
from pairwise import all_pairs
from torch_only import by_torch

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor
from skaernn._losses.targets import TARGET_LOSSES, CrossEntropy, Quantile
from skaernn._native import library
from skaernn._native.functions import Functions
from skaernn._rows.sequences import SequenceRows
from skaernn._training import compiled
from skaernn._training.linear import LinearPath
from skaernn._training.loop import StepByStep, TrainingState
from skaernn._training.objective import Evaluation
from skaernn._training.sequences import RecurrentObjective
from skaernn._training.solvers import SOLVERS
from skaernn.networks import RecurrentNetwork
from skaernn.networks._sequences._layers import compiled as layers

KINDS = library.built()
LIBRARIES = {kind: ctypes.CDLL(str(library._path(kind))) for kind in KINDS}
CLOSE = {torch.float32: 2e-4, torch.float64: 1e-11}
LOSSES = {
    **TARGET_LOSSES,
    "quantile": Quantile(0.8),
    "classes": CrossEntropy((0.2, 0.5, 0.3)),
    "weighted classes": CrossEntropy((0.2, 0.5, 0.3), (1.0, 0.5, 3.0)),
}
FACTORS = {
    "cell": ["lstm", "gru", "rnn", "mingru"],
    "loss": list(LOSSES),
    "pooling": ["last", "mean", None],
    "n_layers": [1, 2],
    "hidden_size": [5, 1, 8, 17, 33],
    "n_inputs": [3, 1, 16],
    "input_skip": [True, False],
    "activation": ["tanh", "relu"],
    "output_activation": ["auto", "logistic", "softplus"],
    "dtype": [torch.float64, torch.float32],
    "weighted": [False, True],
    "path": [None, 0, 4],  # directions along which a window is trained
    "kind": KINDS,
}


def together(row):
    """A loss with a link has its own output; relu is the vanilla cell's."""
    loss = LOSSES[row.get("loss", "squared_error")]
    if row.get("output_activation", "auto") != "auto" and loss.fixed_output:
        return False
    if row.get("path") is not None and row.get("pooling", "last") is None:
        return False
    return row.get("activation", "tanh") == "tanh" or row.get("cell", "rnn") == "rnn"


CASES = all_pairs(FACTORS, together) if KINDS else []
pytestmark = pytest.mark.skipif(not KINDS, reason="no kernels are built here")


@pytest.fixture
def choose(monkeypatch):
    """Lets kernels of a kind do the work."""

    def choose(kind):
        found = Functions(LIBRARIES[kind])
        for module in (compiled, layers):
            monkeypatch.setattr(module, "compiled_kernels", lambda: found)

    return choose


def make_objective(case, n=23, n_steps=6, batch_size=None, **how):
    """An objective on random sequences, and parameters away from its start."""
    loss, dtype = LOSSES[case["loss"]], case["dtype"]
    rng = np.random.default_rng(0)
    classes, per_step = isinstance(loss, CrossEntropy), case["pooling"] is None
    n_targets, n_channels = n * n_steps if per_step else n, case["n_inputs"]
    y = rng.random((n_targets, 1 if classes else 2))
    y = np.floor(3 * y).astype(np.int64) if classes else y
    weight = rng.random(n) if case["weighted"] else np.ones(n)
    at = n_steps * np.arange(n)
    parts = rng.normal(size=(n * n_steps, n_channels)), at, np.full(n, n_steps), y
    rows = SequenceRows.of(
        *(torch.from_numpy(part) for part in (*parts, at if per_step else np.arange(n))),
        (np.arange(n), weight, None),
        dtype,
        per_step=per_step,
    )
    activation = case["output_activation"]
    network = RecurrentNetwork(
        n_channels,
        case["hidden_size"],
        3 if classes else 2 * loss.outputs_per_target,
        output_activation=loss.output_activation if activation == "auto" else activation,
        **{name: case[name] for name in ("cell", "n_layers", "pooling", "input_skip")},
        activation=case["activation"],
    )
    path = case["path"]
    if path is not None:
        network = replace(network, linear_path="window", path_rank=path)
        width = 4 * n_channels + 1  # of fewer steps than there are
        parts = [torch.from_numpy(rng.normal(size=(width, k))) for k in (network.n_outputs, path)]
        how["linear"] = LinearPath(*(part.to(dtype) for part in parts))
    objective = RecurrentObjective(network, loss, rows, batch_size=batch_size or n, **how)
    noise = torch.randn(1, network.layout.size, generator=torch.Generator().manual_seed(2))
    return objective, (0.4 * noise).to(dtype)


def by_torch_of(objective, theta, grad=None):
    """An evaluation without kernels, whose passes are made now."""
    evaluation = Evaluation(objective, theta, grad)
    with by_torch(), torch.no_grad():
        evaluation.value(objective._everything)
    return evaluation


def assert_close(one, other, dtype):
    for a, b in zip(one, other, strict=True):
        scale = float(b.abs().max()) or 1.0
        torch.testing.assert_close(a, b.to(a.dtype), rtol=0, atol=CLOSE[dtype] * scale)


@pytest.mark.parametrize("case", CASES, ids=lambda case: ", ".join(map(str, case.values())))
def test_evaluations_are_at_the_parameters_that_they_are_given(case, choose):
    """In the memory of training, which has others."""
    choose(case["kind"])
    objective, theta = make_objective(case)
    elsewhere = theta + 0.1
    expected = objective.evaluate(elsewhere)
    again, _ = make_objective(case)
    bound = again.bound(theta, torch.empty_like(theta))
    bound.sums(again.batches(0)[0])
    assert again.evaluate(elsewhere) == pytest.approx(expected, rel=CLOSE[case["dtype"]])
    assert again.evaluate(theta) != pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("case", CASES, ids=lambda case: ", ".join(map(str, case.values())))
def test_sums_gradients_and_values_are_those_of_torch(case, choose):
    choose(case["kind"])
    objective, theta = make_objective(case)
    assert objective._compiled
    (batch,) = objective.batches(0)
    found = []
    for make in (objective.bound, lambda *at: by_torch_of(objective, *at)):
        grad = torch.full_like(theta, torch.nan)
        evaluation = make(theta, grad)
        with torch.no_grad():
            sums = evaluation.sums(batch).clone()
        found.append((sums, grad))
    assert_close(*found, case["dtype"])
    with torch.no_grad():
        value = objective.bound(theta).value(batch)
    assert_close([value], [found[1][0]], case["dtype"])


PLAIN = {name: choices[0] for name, choices in FACTORS.items() if choices}


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("changes", [
    {}, {"pooling": None, "weighted": True}, {"pooling": "mean", "n_layers": 2},
    {"loss": "weighted classes"}, {"path": 4}, {"loss": "gaussian", "cell": "gru"},
], ids=str)  # fmt: skip
def test_steps_are_those_of_torch(changes, solver):
    """Also those of the last batch, which is shorter, with a penalty and clipped."""
    how = {"batch_size": 7, "alpha": 0.2, "seed": 3}
    objective, theta = make_objective({**PLAIN, **changes}, **how)
    found = []
    for kernels in (True, False):
        state, rule = TrainingState.at(theta.clone()), SOLVERS[solver]()
        steps = objective.steps(rule, state, 0.5)
        if not kernels:
            steps = StepByStep(objective, rule, state, 0.5)
            steps._evaluation = Evaluation(objective, state.theta, state.grad)
        told = []
        for epoch in range(3):
            for part in steps.parts(epoch):
                with by_torch():
                    total = steps.take(part, 0.02, 0.01)
            told.append(total.double())
        found.append((state.theta, torch.stack(told)))
    assert (found[0][0] - theta).abs().max() > 1e-3
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-9, atol=1e-12)


@pytest.mark.skipif(not set(KINDS) >= {"avx2", "avx512"}, reason="one of the two at most is here")
@pytest.mark.parametrize("cell", FACTORS["cell"])
def test_vectors_of_any_width_give_the_same_bits(cell, choose):
    found = []
    for kind in ("avx2", "avx512"):
        choose(kind)
        case = {**PLAIN, "cell": cell, "dtype": torch.float32, "hidden_size": 19}
        objective, theta = make_objective(case, n=40, n_steps=20)
        grad = torch.empty_like(theta)
        (batch,) = objective.batches(0)
        found.append((objective.bound(theta, grad).sums(batch), grad))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_who_goes_by_torch():
    X, y = np.random.default_rng(0).normal(size=(20, 5, 2)), np.arange(20.0)
    ragged = [x[: 2 + i % 4] for i, x in enumerate(X)]
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        original = RecurrentObjective.steps

        def spy(self, *args):
            seen.append(original(self, *args))
            return seen[-1]

        patch.setattr(RecurrentObjective, "steps", spy)
        for data, how in (
            (X, {}),
            (ragged, {}),
            (X, {"bidirectional": True}),
            (X, {"dropout": 0.5}),
            (X, {"pooling": "attention"}),
            (X, {"hidden_size": 300}),
        ):
            RNNSequenceRegressor(max_iter=2, random_state=0, **how).fit(data, y)
        RNNSequenceClassifier(max_iter=2, random_state=0).fit(X, y > 9)
    assert [steps is not None for steps in seen] == [True, *[False] * 5, True]


@pytest.mark.parametrize("cell", FACTORS["cell"])
def test_fits_tell_the_same_as_by_torch(cell):
    X = np.random.default_rng(0).normal(size=(50, 7, 2))
    y = X.sum((1, 2))
    model = RNNSequenceRegressor(cell, 6, batch_size=16, max_iter=6, random_state=0)
    curve = model.fit(X, y).loss_curve_
    assert curve == model.fit(X, y).loss_curve_
    with by_torch():
        np.testing.assert_allclose(curve, model.fit(X, y).loss_curve_, rtol=1e-9)
