"""Training by compiled kernels beside the same by torch, batch by batch and fit by fit.

All instruction sets that are here are tested, at the widths where vectors end, in either type.
"""

import ctypes
import itertools
import warnings

import numpy as np
import pytest
import torch
from interrupts import interrupt_part
from objectives import make_objective
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    VariationalAutoencoderTransformer,
)
from skaernn._losses.likelihoods import LIKELIHOODS, Normal
from skaernn._losses.reconstruction import LOSSES, SquaredError
from skaernn._native import library
from skaernn._native.functions import Functions
from skaernn._rows import matrix
from skaernn._training import compiled
from skaernn._training.loop import StepByStep, TrainingState
from skaernn._training.objective import EVALUATION, Evaluation
from skaernn._training.solvers import LBFGS, SOLVERS
from skaernn._training.vectors import ReconstructionObjective
from skaernn.networks import (
    CORRUPTIONS,
    L1,
    PENALTIES,
    Corrupter,
    Range,
    StandardNormal,
)

KINDS = library.built()
LIBRARIES = {kind: ctypes.CDLL(str(library._path(kind))) for kind in KINDS}
FUSED = {"avx2", "avx512"}
# of gradients that are sums of some hundred numbers of about one
CLOSE = {torch.float32: 1e-4, torch.float64: 1e-11}
NORMAL = {"variational": True, "penalty": StandardNormal(), "strength": 1.0}

pytestmark = pytest.mark.skipif(not KINDS, reason="no kernels are built here")
every_kind = pytest.mark.parametrize("kind", KINDS)
every_type = pytest.mark.parametrize("dtype", CLOSE, ids=str)


@pytest.fixture
def choose(monkeypatch):
    """Lets kernels of a kind, or torch, do the work."""

    def choose(kind):
        found = Functions(LIBRARIES[kind]) if kind in LIBRARIES else None
        monkeypatch.setattr(compiled, "compiled_kernels", lambda: found)

    return choose


def corrupter(name):
    limits = Range(torch.tensor(0.0), torch.tensor(1.0))
    return Corrupter(CORRUPTIONS[name], 0.3, limits)


# Whatever a dense network can be, and be asked for.
SPECS = {
    "no hidden layer": {},
    "path alone": {"linear_path": True},
    "one hidden layer": {"hidden_layer_sizes": (9,)},
    "hidden layers and a path": {"hidden_layer_sizes": (6, 4), "linear_path": True},
    "tied": {"hidden_layer_sizes": (6, 5), "tied_weights": True},
    "tied with a path": {
        "hidden_layer_sizes": (6,), "tied_weights": True, "linear_path": True
    },
    "dropout": {"hidden_layer_sizes": (8, 6), "dropout": 0.3, "corrupter": "masking"},
    "dropout and a path": {
        "hidden_layer_sizes": (8,), "dropout": 0.5, "linear_path": True, "corrupter": "gaussian"
    },
    "corrupted": {"hidden_layer_sizes": (8,), "corrupter": "salt_and_pepper"},
    "sparse": {"hidden_layer_sizes": (5,), "penalty": L1(), "strength": 0.1},
    "variational": {"hidden_layer_sizes": (5,), **NORMAL},
    "variational with a path": {"hidden_layer_sizes": (5,), "linear_path": True, **NORMAL},
    "normal noise": {"hidden_layer_sizes": (5,), "loss": Normal(), **NORMAL},
    "least noise": {"hidden_layer_sizes": (5,), "loss": Normal(floor=7.0), **NORMAL},
    **{f"{name}": {"loss": name, "hidden_layer_sizes": (5,)} for name in LOSSES},
}  # fmt: skip


def objective_of(name, **how):
    spec = dict(SPECS[name])
    if "corrupter" in spec:
        spec["corrupter"] = corrupter(spec["corrupter"])
    loss = spec.pop("loss", "squared_error")
    loss = LOSSES[loss] if isinstance(loss, str) else loss
    spec.setdefault("output_activation", loss.output_activation)
    objective, theta = make_objective(loss=loss, **{**spec, **how})
    assert objective._compiled
    return objective, theta


def evaluated(evaluation, objective, grad, epoch=0):
    (batch,) = objective.batches(epoch)
    grad.fill_(torch.nan)
    with torch.no_grad():
        return evaluation.sums(batch).clone(), grad.clone()


def assert_close(one, other, dtype, close=None):
    for a, b in zip(one, other, strict=True):
        atol = (close or CLOSE[dtype]) * (float(b.abs().max()) or 1.0)
        torch.testing.assert_close(a, b, rtol=0, atol=atol)


@every_kind
@every_type
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SPECS)
def test_sums_and_gradients_are_those_of_torch(kind, dtype, weighted, name, choose):
    choose(kind)
    objective, theta = objective_of(name, dtype=dtype, weighted=weighted)
    grad = torch.empty_like(theta)
    ours = evaluated(objective.bound(theta, grad), objective, grad, 4)
    torchs = evaluated(Evaluation(objective, theta, grad), objective, grad, 4)
    assert_close(ours, torchs, dtype)


@pytest.mark.parametrize("name", SPECS)
def test_evaluations_share_no_more_than_memory_with_training(name):
    """At other parameters than training has, and without its noise."""
    objective, theta = objective_of(name)
    elsewhere = theta + 0.1
    expected = objective.evaluate(elsewhere)
    again, _ = objective_of(name)
    grad = torch.empty_like(theta)
    evaluated(again.bound(theta, grad), again, grad)
    assert again.evaluate(elsewhere) == pytest.approx(expected, rel=1e-12)
    assert again.evaluate(theta) != pytest.approx(expected, rel=1e-4)


@every_kind
@every_type
def test_widths_where_vectors_end(kind, dtype, choose):
    choose(kind)
    widths = 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65
    for n_features, hidden, n in zip(widths, widths[5:] + widths[:5], widths[::-1], strict=True):
        how = {"hidden_layer_sizes": (hidden,), "n_components": n, "linear_path": n % 2 == 0}
        objective, theta = make_objective(n, n_features, dtype=dtype, loss="huber", **how)
        grad = torch.empty_like(theta)
        ours = evaluated(objective.bound(theta, grad), objective, grad)
        assert_close(ours, evaluated(Evaluation(objective, theta, grad), objective, grad), dtype)


@every_type
@pytest.mark.parametrize("activation", ["tanh", "elu", "softplus", "silu", "leaky_relu"])
def test_activations_and_their_slopes(activation, dtype):
    names = dict.fromkeys(("activation", "code_activation", "output_activation"), activation)
    objective, theta = make_objective(dtype=dtype, hidden_layer_sizes=(18,), **names)
    theta *= 5  # where they are bent
    grad = torch.empty_like(theta)
    ours = evaluated(objective.bound(theta, grad), objective, grad)
    torchs = evaluated(Evaluation(objective, theta, grad), objective, grad)
    close = (
        1e-4 if dtype == torch.float32 else 1e-8
    )  # from 20 on, torch's softplus is the identity
    assert_close(ours, torchs, dtype, close if activation == "softplus" else None)


@pytest.mark.parametrize("name", SPECS)
@torch.no_grad()
def test_evaluations_are_those_of_torch(name):
    objective, theta = objective_of(name, n=150)
    by_torch = Evaluation(objective, theta, None)
    (batch,) = objective.batches(EVALUATION)
    expected = by_torch.value(batch.split(objective.most_evaluated)[0])
    torch.testing.assert_close(objective.bound(theta).value(batch), expected)
    mean = float(expected[0, 0]) / objective.rows.total_weight()
    assert objective.evaluate(theta) == pytest.approx(mean, rel=1e-12)


@pytest.mark.skipif(not set(KINDS) >= FUSED, reason="this processor has one of the two at most")
@pytest.mark.parametrize("name", SPECS)
def test_vectors_of_any_width_give_the_same_bits(name, choose):
    found = []
    for kind in sorted(FUSED):
        choose(kind)
        objective, theta = objective_of(name, dtype=torch.float32, hidden_layer_sizes=(19,))
        grad = torch.empty_like(theta)
        found.append(evaluated(objective.bound(theta, grad), objective, grad))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def steps_of(objective, theta, solver, *, by_torch, max_norm, n_epochs):
    """Parameters and what training says of each epoch, of so many epochs."""
    state = TrainingState.at(theta.clone())
    solver = SOLVERS[solver]()
    steps = objective.steps(solver, state, max_norm)
    if by_torch:
        steps = StepByStep(objective, solver, state, max_norm)
        steps._evaluation = Evaluation(objective, state.theta, state.grad)
    told = []
    for epoch in range(n_epochs):
        for part in steps.parts(epoch):
            total = steps.take(part, 0.01 * (1 + epoch))
        told.append(total.double())
    return state, torch.stack(told)


def small_batches(objective, size=7, **how):
    """The same objective in batches of a size."""
    return ReconstructionObjective(
        objective.network,
        objective.goal,
        objective.rows,
        batch_size=size,
        seed=5,
        **{"alpha": 0.3, **how},
    )


@pytest.mark.parametrize("max_norm", [None, 0.05])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("name", ["hidden layers and a path", "dropout", "normal noise", "tied"])
def test_steps_are_those_of_torch(name, alpha, solver, max_norm):
    objective, theta = objective_of(name)
    objective = small_batches(objective, alpha=alpha)
    how = {"solver": solver, "max_norm": max_norm, "n_epochs": 4}
    ours, told = steps_of(objective, theta, by_torch=False, **how)
    torchs, expected = steps_of(objective, theta, by_torch=True, **how)
    assert (ours.theta - theta).abs().max() > 1e-3
    torch.testing.assert_close(ours.theta, torchs.theta, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(told, expected, rtol=1e-8, atol=1e-12)
    assert ours.step == torchs.step == 4 * 6
    for slot, value in torchs.slots.items():
        torch.testing.assert_close(ours.slots[slot], value, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["dropout", "variational", "hidden layers and a path"])
def test_how_many_batches_a_call_takes_changes_nothing(name, monkeypatch):
    objective, theta = objective_of(name, n=100)
    found = []
    for loaded in (1, 600, 1 << 20):
        monkeypatch.setattr(compiled, "_LOADED", loaded)
        batches = small_batches(objective, 9)
        how = {"solver": "adam", "by_torch": False, "max_norm": 1.0, "n_epochs": 3}
        state, told = steps_of(batches, theta, **how)
        found.append((state.theta, told))
    for one, *others in zip(*found, strict=True):
        assert all(torch.equal(one, other) for other in others)


def test_the_first_batch_is_told_of_alone():
    objective, theta = objective_of("one hidden layer")
    state = TrainingState.at(theta)
    steps = small_batches(objective).steps(SOLVERS["adam"](), state, None)
    assert [len(part.index) for part in steps.parts(0)] == [7, 34]
    assert [len(part.index) for part in steps.parts(1)] == [41]


def test_memory_is_neither_read_nor_written_past_its_ends(choose):
    """Weights and gradients lie among numbers that would show."""
    for kind, width in itertools.product(KINDS, (1, 5, 16, 17)):
        choose(kind)
        objective, theta = make_objective(23, width, hidden_layer_sizes=(3,), linear_path=True)
        n = theta.shape[1]
        among = torch.full((3, 1, n + 40), torch.nan, dtype=theta.dtype)
        inside = among[:2, :, 20 : 20 + n]
        inside[0] = theta
        sums, grad = evaluated(objective.bound(inside[0], inside[1]), objective, inside[1])
        assert sums.isfinite().all()
        assert grad.isfinite().all()
        assert among.isfinite().sum() == 2 * n
    grad = torch.empty_like(theta)
    assert torch.equal(evaluated(objective.bound(theta, grad), objective, grad)[1], inside[1])


def test_a_batch_that_memory_is_too_small_for_is_refused():
    objective, theta = objective_of("one hidden layer")
    few = small_batches(objective)
    (batch,) = objective.batches(0)
    with pytest.raises(ValueError, match="A batch of 41 rows, and memory for 7"):
        few.bound(theta, torch.empty_like(theta)).sums(batch)


def test_who_goes_by_torch(choose):
    class Own(SquaredError):
        pass

    def goes(**spec):
        return make_objective(**spec)[0]._compiled

    assert goes()
    assert goes(n=512)
    assert not goes(n=513)
    assert goes(n=200, n_features=100, hidden_layer_sizes=(100,))
    assert not goes(n=210, n_features=100, hidden_layer_sizes=(100,))
    assert not goes(loss=Own())
    assert not goes(activation="gelu", hidden_layer_sizes=(3,))
    assert not goes(penalty=PENALTIES["contractive"], strength=1.0)
    assert not goes(penalty=PENALTIES["kl"], strength=1.0, code_activation="logistic")
    objective, theta = make_objective()
    assert objective.steps(LBFGS(), TrainingState.at(theta), None) is None
    choose("torch")
    assert not goes()


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_an_interrupted_call_ends_the_fit(late):
    """A default fit has such calls: the contracts on what is left ask whoever has them."""
    X = np.random.default_rng(0).random((60, 5))
    model = AutoencoderTransformer(2, batch_size=20, max_iter=9, tol=0, random_state=0)
    with (
        interrupt_part(4, late=late) as calls,
        pytest.warns(UserWarning, match="by user") as caught,
    ):
        model.fit(X)
    assert len(calls) == 4
    assert [str(warning.message) for warning in caught] == ["Training interrupted by user."]
    assert model.n_iter_ == 2  # the first epoch has two calls, the others one
    assert np.isfinite(model.transform(X)).all()


@pytest.mark.parametrize("given", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (AutoencoderTransformer(2, (4,), scaling=None), None),
        (AutoencoderTransformer(2, (4,), dtype="float32"), None),
        (AutoencoderTransformer(2, (4,), corruption="gaussian", dropout=0.2), None),
        (RNNSequenceRegressor("gru", 3, scaling=None, input_skip=False), lambda X: X[:, -1, 0]),
        (
            RNNSequenceRegressor("lstm", 3, dtype="float64", return_sequences=True),
            lambda X: X.sum(axis=2),
        ),
        (RNNSequenceClassifier("rnn", 3), lambda X: np.arange(len(X)) % 3),
    ],
    ids=["unscaled", "narrowed", "noisy", "unscaled sequences", "every step", "classes"],
)
def test_rows_read_where_they_lie_are_those_that_are_gathered(
    estimator, target, weighted, given, monkeypatch
):
    """X of any size: a small one is scaled once, a large one batch by batch."""
    rng = np.random.default_rng(0)
    X = rng.random((70, 6) if target is None else (70, 6, 3)).astype(given)
    y = None if target is None else target(X)
    weight = rng.integers(0, 3, 70) if weighted else None
    found = []
    for most, laid in ((1 << 22, X), (0, X), (1 << 22, np.asfortranarray(X))):
        monkeypatch.setattr(matrix, "_LOADED", most)
        model = clone(estimator).set_params(batch_size=16, max_iter=4, tol=0, random_state=0)
        model.fit(laid, y, sample_weight=weight)
        found.append(torch.cat([part.ravel() for part in model.module_.parameters()]))
    assert all(torch.equal(found[0], other) for other in found[1:])


def fitted(kind, choose, estimator, X):
    choose(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X)


@every_type
@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderTransformer(3, (16,), batch_size=16, max_iter=15, random_state=0),
        AutoencoderTransformer(
            3, (8,), solver="sgd", early_stopping=True, max_iter=15, random_state=0
        ),
        AutoencoderTransformer(3, (8,), solver="lbfgs", max_iter=15, random_state=0),
        VariationalAutoencoderTransformer(3, (8,), batch_size=25, max_iter=15, random_state=0),
    ],
    ids=lambda estimator: f"{type(estimator).__name__}, {estimator.solver}",
)
def test_fits_tell_the_same_as_by_torch(estimator, dtype, choose):
    rng = np.random.default_rng(0)
    X = np.tanh(rng.normal(size=(90, 3)) @ rng.normal(size=(3, 12)))
    X = (X + 0.1 * rng.normal(size=X.shape)).astype(str(dtype).removeprefix("torch."))
    ours = fitted(KINDS[0], choose, estimator, X)
    curve, codes = np.array(ours.loss_curve_), ours.transform(X)
    again = fitted(KINDS[0], choose, estimator, X)
    assert curve.tolist() == again.loss_curve_
    assert np.array_equal(codes, again.transform(X))
    torchs = np.array(fitted("torch", choose, estimator, X).loss_curve_)
    n = min(len(curve), len(torchs), 8)  # roundings grow
    np.testing.assert_allclose(
        curve[:n], torchs[:n], rtol=1e-2 if dtype == torch.float32 else 1e-8
    )


def test_likelihoods_are_known():
    assert type(LIKELIHOODS["squared_error"]) in compiled._LOSSES
