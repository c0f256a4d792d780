"""Compiled kernels beside torch: functions, dense layers, every cell, every way to pool.

All instruction sets that are here are tested, at the widths where vectors end, in either type.
"""

import ctypes
import functools
import itertools

import numpy as np
import pytest
import torch
from pairwise import all_pairs

from skaernn._inference import compiled as kept
from skaernn._inference import parts
from skaernn._inference.rows import through
from skaernn._inference.sequences import run_network
from skaernn._inputs.sequences import Sequences
from skaernn._native import library
from skaernn._native.functions import Functions
from skaernn._native.structures import ACTIVATIONS as NUMBERED
from skaernn.networks import (
    CELLS,
    POOLINGS,
    DenseAutoencoder,
    RecurrentNetwork,
)
from skaernn.networks._activations import ACTIVATIONS

KINDS = library.built()
LIBRARIES = {kind: ctypes.CDLL(str(library._path(kind))) for kind in KINDS}
TYPES = {np.float32: torch.float32, np.float64: torch.float64}
FUSED = {"avx2", "avx512"}
CPU = torch.device("cpu")
# a few roundings of numbers of about one, some hundred of them in a chain
CLOSE = {np.float32: 2e-5, np.float64: 4e-14}

pytestmark = pytest.mark.skipif(not KINDS, reason="no kernels are built here")
every_type = pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def choose(monkeypatch):
    """Lets kernels of a kind, or torch, do the work."""

    def choose(kind):
        found = Functions(LIBRARIES[kind]) if kind in LIBRARIES else None
        monkeypatch.setattr(kept, "compiled_kernels", lambda: found)
        kept._packed.clear()

    yield choose
    kept._packed.clear()


# Functions.

EXACT = {
    "exp": np.exp,
    "tanh": np.tanh,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softplus": lambda x: np.logaddexp(0, x),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "identity": lambda x: x,
}
# Units in the last place; without fused products the remainder of a division cannot be had.
ULPS = {"exp": 2, "tanh": 2, "logistic": 2, "elu": 2, "softplus": 4, "silu": 4, "leaky_relu": 2}


def applied(kind, name, x):
    function = getattr(LIBRARIES[kind], f"skaernn_activation_f{8 * x.itemsize}")
    function.argtypes = ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
    function.restype = None
    y = np.empty_like(x)
    function(NUMBERED.index(name), x.ctypes.data, y.ctypes.data, len(x))
    return y


def numbers(dtype):
    """Of all sizes, where they are most often and where results end."""
    generator = np.random.default_rng(0)
    spread = [generator.normal(size=1 << 16) * scale for scale in 10.0 ** np.arange(-6, 2.1, 0.5)]
    ends = [generator.uniform(-87, 88, 1 << 16), generator.uniform(-700, 700, 1 << 16)]
    return np.concatenate([*spread, *ends[: 1 + (dtype is np.float64)]]).astype(dtype)


@functools.cache
def exactly(name, dtype, wide):
    """Numbers and what a function is of them; the same for all kinds of kernels."""
    x = numbers(dtype)
    with np.errstate(over="ignore", under="ignore"):
        exact = EXACT[name](x.astype(wide))
        return x, exact, exact.astype(dtype)


@every_kind
@every_type
@pytest.mark.parametrize("name", EXACT)
def test_functions_are_within_a_few_units_in_the_last_place(kind, dtype, name):
    wide = np.float64 if dtype is np.float32 else np.longdouble
    if np.finfo(wide).eps >= np.finfo(dtype).eps:
        pytest.skip("there is no wider type here")
    x, exact, rounded = exactly(name, dtype, wide)
    with np.errstate(over="ignore", under="ignore"):
        found = applied(kind, name, x)
    # what is that small may be a product with a denormal number, which is zero here
    least = 1e3 * np.finfo(dtype).tiny
    normal = (np.abs(exact) > least) & np.isfinite(rounded)
    error = np.abs(found - exact)[normal] / np.spacing(np.abs(rounded[normal]))
    bound = ULPS.get(name, 0.5)
    assert error.max() <= (bound if kind != "baseline" or bound < 2 else bound + 1)
    small = np.abs(exact) <= least
    assert (np.abs(found[small] - rounded[small]) <= least).all()
    assert (found[np.isinf(rounded)] == np.inf).all()


@every_kind
@every_type
def test_functions_know_their_limits(kind, dtype):
    x = np.full(64, 0, dtype)
    x[:5] = 0, np.inf, -np.inf, np.nan, 1e30
    limits = {
        "exp": [1, np.inf, 0, np.nan, np.inf],
        "tanh": [0, 1, -1, np.nan, 1],
        "logistic": [0.5, 1, 0, np.nan, 1],
        "elu": [0, np.inf, -1, np.nan, dtype(1e30)],
        "softplus": [applied(kind, "softplus", x)[0], np.inf, 0, np.nan, dtype(1e30)],
        "relu": [0, np.inf, 0, np.nan, dtype(1e30)],
    }
    for name, expected in limits.items():
        np.testing.assert_array_equal(applied(kind, name, x)[:5], np.array(expected, dtype), name)


@pytest.mark.skipif(not set(KINDS) >= FUSED, reason="needs both kinds of wide vectors")
@every_type
@pytest.mark.parametrize("name", EXACT)
def test_functions_have_the_same_bits_with_all_wide_vectors(dtype, name):
    x = numbers(dtype)
    one, other = (applied(kind, name, x).tobytes() for kind in sorted(FUSED))
    assert one == other


# Dense layers.

SIDES = [
    (n, k, h) for n, k, h in itertools.product((1, 3, 16, 33), (1, 2, 17), ((), (5,), (64, 9)))
]


def dense(n_features, n_components, hidden, dtype, **how):
    network = DenseAutoencoder(n_features, n_components, hidden, **how)
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(network.layout.size, generator=generator, dtype=torch.float64) / 2
    mean, scale = torch.randn(2, n_features, generator=generator, dtype=torch.float64)
    return network.module(theta.to(dtype), mean, scale.abs() + 0.5)


def rows(n, width, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width)).astype(dtype)


def assert_close(found, expected, dtype):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    error = np.abs(found - expected).max()
    assert error <= CLOSE[dtype] * max(1.0, float(np.abs(expected).max()))


@every_kind
@every_type
@pytest.mark.parametrize("users", TYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("path", [False, True])
def test_dense_layers_of_all_widths_answer_as_torch_does(choose, kind, dtype, users, path):
    for n_features, n_components, hidden in SIDES:
        module = dense(n_features, n_components, hidden, TYPES[dtype], linear_path=path)
        X = rows(50, n_features, users)
        codes = rows(50, n_components, users, 1)
        answers = []
        for who in ("torch", kind):
            choose(who)
            answers.append(
                (
                    through(module, "encoder", X, n_components, CPU),
                    through(module, "decoder", codes, n_features, CPU),
                )
            )
        for expected, found in zip(*answers, strict=True):
            assert_close(found, expected, np.float32 if np.float32 in (dtype, users) else dtype)


@every_kind
@every_type
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("how", [{}, {"tied_weights": True}, {"variational": True}], ids=str)
def test_all_activations_and_kinds_of_autoencoders_answer_as_torch_does(
    choose, kind, dtype, name, how
):
    if "tied_weights" in how:
        how = {**how, "code_activation": name}
    module = dense(9, 4, (20,), TYPES[dtype], activation=name, output_activation=name, **how)
    X, codes = rows(7, 9, dtype), rows(7, 4, dtype)
    choose("torch")
    expected = through(module, "encoder", X, 4, CPU), through(module, "decoder", codes, 9, CPU)
    choose(kind)
    assert_close(through(module, "encoder", X, 4, CPU), expected[0], dtype)
    assert_close(through(module, "decoder", codes, 9, CPU), expected[1], dtype)
    # gelu is left to torch
    assert any(part["encoder"].made for part in kept._packed.values()) == (name != "gelu")


@every_kind
@every_type
def test_rows_of_any_layout_are_read_and_long_chains_are_cut(choose, kind, dtype):
    module = dense(700, 5, (600,), TYPES[dtype], linear_path=True)
    X = rows(60, 700, dtype)
    choose("torch")
    expected = through(module, "encoder", X, 5, CPU)
    choose(kind)
    wider = rows(60, 720, dtype)
    wider[:, 10:710] = X
    turned, repeated = np.asfortranarray(X), np.broadcast_to(X[:1], X.shape)
    bits = through(module, "encoder", X, 5, CPU)
    assert_close(bits, expected, dtype)
    for same in (wider[:, 10:710], turned, X[::-1][::-1], np.repeat(X, 2, axis=0)[::2]):
        assert through(module, "encoder", same, 5, CPU).tobytes() == bits.tobytes()
    assert (
        through(module, "encoder", repeated, 5, CPU).tobytes()
        == np.repeat(bits[:1], 60, 0).tobytes()
    )


# Recurrent networks.

OUTPUTS = ["identity", "softmax", "mean_and_deviation", "exp"]


def recurrent(dtype, **how):
    how = {"n_inputs": 3, "hidden_size": 7, "n_outputs": 2, "bidirectional": False, **how}
    network = RecurrentNetwork(**how)
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(network.layout.size, generator=generator, dtype=torch.float64) / 2
    n_targets = network.n_outputs // (1 + (network.output_activation == "mean_and_deviation"))
    units = {
        "x_mean": torch.randn(network.n_inputs, generator=generator, dtype=torch.float64),
        "x_scale": torch.rand(network.n_inputs, generator=generator, dtype=torch.float64) + 0.5,
        "y_mean": torch.randn(n_targets, generator=generator, dtype=torch.float64),
        "y_scale": torch.rand(n_targets, generator=generator, dtype=torch.float64) + 0.5,
    }
    if network.reads_window:
        for name, width in (("path_basis", network.path_rank), ("path_start", network.n_outputs)):
            shape = 5 * network.n_inputs + 1, width
            constant = torch.randn(shape, generator=generator, dtype=torch.float64)
            units[name] = constant.to(dtype)
    return network, network.module(theta.to(dtype), **units)


def ragged(n, width, dtype, longest=40, seed=0):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest, n)
    steps = generator.normal(size=(lengths.sum(), width)).astype(dtype)
    return Sequences(steps, np.cumsum(lengths) - lengths, lengths, None)


def check_network(choose, kind, dtype, users, **how):
    network, module = recurrent(TYPES[dtype], **how)
    sequences = ragged(60, network.n_inputs, users)
    state = None
    if network.stateless is None:  # begun, and one that has not
        state = np.abs(rows(60, sum(network.state_widths), dtype))
        state[0] = 0
    choose("torch")
    expected = run_network(network, module, sequences, state, CPU)
    choose(kind)
    found = run_network(network, module, sequences, state, CPU)
    assert next(iter(kept._packed.values()))["whole"].made is not None
    close = np.float32 if np.float32 in (dtype, users) else dtype
    assert_close(found[0], expected[0], close)
    if network.stateless is None:
        assert_close(found[1], expected[1], close)
    return network, module, sequences, found


@every_kind
@every_type
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pooling", [None, *POOLINGS])
def test_networks_of_all_kinds_answer_as_torch_does(choose, kind, dtype, cell, pooling):
    """In every two of depth, direction and skip: each is a step of its own in the kernels."""
    shapes = {"n_layers": [1, 2], "bidirectional": [False, True], "input_skip": [False, True]}
    for how in all_pairs(shapes):
        check_network(choose, kind, dtype, dtype, cell=cell, pooling=pooling, **how)


@every_kind
@every_type
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("n_outputs", [1, 3, 16, 20])
def test_windows_of_all_widths_are_read_as_torch_does(choose, kind, dtype, pooling, n_outputs):
    how = {"linear_path": "window", "path_rank": 3, "pooling": pooling, "n_outputs": n_outputs}
    check_network(choose, kind, dtype, dtype, **how)
    check_network(choose, kind, dtype, dtype, **how, bidirectional=True, input_skip=False)


@every_kind
@every_type
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("hidden_size", [1, 2, 4, 8, 15, 16, 17, 31, 33, 64, 300])
def test_layers_of_all_widths_answer_as_torch_does(choose, kind, dtype, cell, hidden_size):
    # weights of one, as those of a fit are: a chain of 300 with larger ones is chaotic
    how = {"cell": cell, "hidden_size": hidden_size, "n_inputs": 1 + hidden_size % 5}
    network, module = recurrent(TYPES[dtype], **how)
    with torch.no_grad():
        for weight in module.layers.parameters():
            weight.div_(max(1, hidden_size / 8) ** 0.5)
    sequences = ragged(30, network.n_inputs, dtype, longest=12)
    choose("torch")
    expected = run_network(network, module, sequences, None, CPU)
    choose(kind)
    found = run_network(network, module, sequences, None, CPU)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, dtype)


@every_kind
@pytest.mark.parametrize(("users", "own"), [(np.float32, np.float64), (np.float64, np.float32)])
@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs_of_all_kinds_and_either_type_answer_as_torch_does(
    choose, kind, users, own, output
):
    check_network(choose, kind, own, users, output_activation=output, n_outputs=6, pooling="mean")
    check_network(choose, kind, own, users, output_activation=output, n_outputs=6, pooling=None)
    check_network(choose, kind, own, users, cell="rnn", activation="relu", hidden_size=3)


@every_kind
@every_type
@pytest.mark.parametrize("cell", CELLS)
def test_steps_that_are_cut_and_rows_that_are_taken_apart_have_the_same_bits(
    choose, kind, dtype, cell, monkeypatch
):
    how = {"cell": cell, "pooling": "attention", "n_layers": 2, "hidden_size": 9}
    how |= {"linear_path": "window", "path_rank": 2}
    network, module, sequences, whole = check_network(choose, kind, dtype, dtype, **how)
    monkeypatch.setattr("skaernn._inference.sequences._STEPS", 3)
    monkeypatch.setattr("skaernn._inference.sequences.PRODUCTS", 1)  # a few steps a call
    monkeypatch.setattr(parts, "PRODUCTS", 1000)  # and a few rows
    state = np.abs(rows(60, sum(network.state_widths), dtype))
    state[0] = 0
    cut = run_network(network, module, sequences, state, CPU)
    for one, other in zip(cut, whole, strict=True):
        assert one.tobytes() == other.tobytes()


@every_kind
def test_several_threads_have_the_bits_of_one(choose, kind, monkeypatch):
    network, module, sequences, one = check_network(choose, kind, np.float32, np.float32)
    state = np.abs(rows(60, sum(network.state_widths), np.float32))
    state[0] = 0
    monkeypatch.setattr(parts, "_SHARE", 1)
    seen, run = [], parts.on_threads
    monkeypatch.setattr(parts, "on_threads", lambda *a: seen.append(a[2]) or run(*a))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        three = run_network(network, module, sequences, state, CPU)
    finally:
        torch.set_num_threads(before)
    assert seen == [3]
    for a, b in zip(one, three, strict=True):
        assert a.tobytes() == b.tobytes()


def test_what_fails_on_a_thread_is_raised_when_all_have_ended():
    def run(first, last):
        if first == 0:
            raise MemoryError("none")

    with pytest.raises(MemoryError, match="none"):
        parts.on_threads(run, [(0, 1), (1, 2), (2, 3)], 3)


@every_kind
@every_type
def test_states_that_fade_become_zero_and_never_denormal(choose, kind, dtype):
    network, module = recurrent(TYPES[dtype], cell="gru", pooling="last")
    with torch.no_grad():
        for weight in module.layers.parameters():
            weight.zero_()  # a step halves the state
    tiny = np.finfo(dtype).tiny
    state = np.full((1, 7), 1e3 * float(tiny), dtype)
    zeros = Sequences(np.zeros((20, 3), dtype), np.array([0]), np.array([20]), None)
    choose("torch")
    _, faded = run_network(network, module, zeros, state, CPU)
    assert (faded > 0).all()
    assert (faded < tiny).all()
    choose(kind)
    _, ended = run_network(network, module, zeros, state, CPU)
    assert not ended.any()


@pytest.mark.skipif(not set(KINDS) >= FUSED, reason="needs both kinds of wide vectors")
@every_type
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("hidden_size", [1, 7, 16, 50])
def test_networks_have_the_same_bits_with_all_wide_vectors(choose, dtype, cell, hidden_size):
    network, module = recurrent(TYPES[dtype], cell=cell, hidden_size=hidden_size, n_layers=2)
    sequences, answers = ragged(50, 3, dtype), []
    for kind in sorted(FUSED):
        choose(kind)
        output, ended = run_network(network, module, sequences, None, CPU)
        answers.append(output.tobytes() + ended.tobytes())
    assert answers[0] == answers[1]


# Modules that users edit.


@every_kind
@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.encoder.network[0].weight.data.mul_(2),
        lambda m: m.encoder.network[0].bias.detach().numpy().__setitem__(0, 3.0),
        lambda m: m.mean.add_(1),
        lambda m: setattr(m.encoder, "activation", torch.nn.Tanh()),
        lambda m: m.encoder.network[0].register_forward_hook(lambda *a: a[2] + 1),
        lambda m: setattr(m.encoder.network[0].weight, "data", torch.ones(20, 9)),
        lambda m: m.encoder.network.append(torch.nn.Linear(4, 4)),
    ],
)
def test_an_edit_of_the_module_is_seen_at_once(choose, kind, edit):
    module, X = dense(9, 4, (20,), torch.float32), rows(5, 9, np.float32)
    choose(kind)
    before = through(module, "encoder", X, 4, CPU)
    with torch.no_grad():
        edit(module)
        expected = module.encode(torch.from_numpy(X)).numpy()
    after = through(module, "encoder", X, 4, CPU)
    assert_close(after, expected, np.float32)
    assert np.abs(after - before).max() > 0.01


@every_kind
def test_an_edit_of_recurrent_weights_is_seen_and_packed_weights_do_not_keep_a_module(
    choose, kind
):
    network, module = recurrent(torch.float32)
    sequences = ragged(5, 3, np.float32)
    choose(kind)
    before, _ = run_network(network, module, sequences, None, CPU)
    packed = kept._packed[module]["whole"]
    run_network(network, module, sequences, None, CPU)
    assert kept._packed[module]["whole"] is packed
    module.layers.weight_hh_l0.data.neg_()
    after, _ = run_network(network, module, sequences, None, CPU)
    assert np.abs(after - before).max() > 1e-3
    del module, packed
    assert len(kept._packed) == 0
