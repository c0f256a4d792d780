"""What needs more memory than there is: refused before it is allocated, in words that help."""

from pathlib import Path

import numpy as np
import pytest
import torch
from processes import output_of
from torch_only import by_torch

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)
from skaernn._core import memory
from skaernn._core.memory import device_memory, is_out_of_memory
from skaernn._inputs import memory as checks

GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.random((3000, 1000), dtype=np.float32)
SEQUENCES = GENERATOR.random((1000, 20, 30), dtype=np.float32)
LABELS = np.arange(len(SEQUENCES)) % 3
CPU = torch.device("cpu")
GIB = r"\d[\d.e+-]* GiB"


def pair(n_features, n_components):
    encoder = torch.nn.Linear(n_features, n_components)
    return encoder, torch.nn.Linear(n_components, n_features)


def own_cell(n_inputs, hidden_size):
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(n_inputs, hidden_size)

        def forward(self, x, lengths):
            return self.linear(x)

    return Own()


def autoencoder(**parameters):
    given = {"hidden_layer_sizes": (20,), "batch_size": 2500, "max_iter": 1, "linear_path": False}
    return AutoencoderTransformer(3, **{**given, "random_state": 0, **parameters})


BATCHES = {  # the estimator, what it is fitted to, rows at a time, widths, what to choose
    "dense": (autoencoder(), ROWS, 2500, "1000, 20, 3", "hidden_layer_sizes or n_components"),
    "corrupted": (
        autoencoder(corruption="masking", corruption_level=0.2, dropout=0.1),
        ROWS,
        2500,
        "1000, 20, 3",
        "hidden_layer_sizes or n_components",
    ),
    "convolutional": (
        autoencoder(architecture="convolutional", dropout=0.1),
        ROWS,
        2500,
        "1000, 20, 3",
        "hidden_layer_sizes or n_components",
    ),
    "modules": (
        autoencoder(architecture=pair, linear_path="auto"),
        ROWS,
        2500,
        "1000, 20, 3",
        "hidden_layer_sizes or n_components",
    ),
    "variational": (
        VariationalAutoencoderTransformer(3, 20, batch_size=2500, max_iter=1),
        ROWS,
        1500,  # no batch much smaller than the others
        "1000, 20, 3",
        "hidden_layer_sizes or n_components",
    ),
    "sequences": (
        RNNSequenceClassifier(hidden_size=16, batch_size=800, max_iter=1),
        SEQUENCES,
        800,
        "30, 16, 3",
        "a smaller hidden_size or n_layers",
    ),
    "steps": (
        RNNSequenceRegressor(hidden_size=16, batch_size=800, max_iter=1, cell=own_cell),
        SEQUENCES,
        800,
        "30, 16, 1",
        "a smaller hidden_size or n_layers",
    ),
    "sequence autoencoder": (
        SequenceAutoencoderTransformer(4, hidden_size=16, batch_size=800, max_iter=1),
        SEQUENCES,
        800,
        "30, 16, 4, 16, 30",
        "a smaller hidden_size, n_layers or n_components",
    ),
}


@pytest.fixture
def little(monkeypatch):
    """As if there were 4 MiB, and as if somebody asked for every one of them."""
    monkeypatch.setattr(checks, "_NOTHING", 0)
    monkeypatch.setattr(checks, "device_memory", lambda device: 4 * 2**20)


def fit(model, X):
    return model.fit(X) if not hasattr(model, "predict") else model.fit(X, LABELS)


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_beyond_memory(name, little):
    model, X, n_rows, widths, advice = BATCHES[name]
    before = dict(vars(model))
    words = (
        rf"^Training a network with layer sizes \({widths}\) on {n_rows} rows at a time needs "
        rf"{GIB} of memory at least, and this process may have 0.00391 GiB. "
        rf"Choose a smaller batch_size, or .*{advice}.$"
    )
    with pytest.raises(MemoryError, match=words):
        fit(model, X)
    assert vars(model) == before


def test_a_smaller_batch_helps(little):
    autoencoder(batch_size=100).fit(ROWS)


def test_all_rows_in_one_batch(little):
    words = "on 3000 rows at a time .* Choose solver='adam' and a smaller batch_size, or "
    with pytest.raises(MemoryError, match=words):
        autoencoder(solver="lbfgs").fit(ROWS)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_batch_beyond_memory_leaves_the_earlier_fit(method, little):
    model = autoencoder(batch_size=100, warm_start=True).fit(ROWS)
    before = dict(vars(model))
    with pytest.raises(MemoryError, match="on 2500 rows at a time"):
        getattr(model.set_params(batch_size=2500), method)(ROWS)
    assert vars(model) == {**before, "batch_size": 2500}


SOME = {
    "of torch on Linux": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
        "memory: you tried to allocate 800000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "of torch on Windows": RuntimeError(
        "DefaultCPUAllocator: not enough memory: you tried to allocate 800000000000 bytes."
    ),
    "of CUDA": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    "of C++": RuntimeError("std::bad_alloc"),
}


@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("name", SOME)
def test_an_allocator_that_gives_up(name, late, monkeypatch):
    """Before the first step or after it, the estimator is as it was."""
    from skaernn._training.solvers import Adam

    error = type(SOME[name])(*SOME[name].args)  # whose traceback keeps nothing alive for long
    step, steps = Adam.step, []

    def failing(*arguments):
        steps.append(None)
        if len(steps) > 3 * late:
            raise error
        return step(*arguments)

    monkeypatch.setattr(Adam, "step", failing)
    model = autoencoder(batch_size=50)
    before = dict(vars(model))
    words = (
        r"Training a network with layer sizes \(1000, 20, 3\) and batch_size=50 ran out of "
        "memory. Choose a smaller batch_size, or smaller hidden_layer_sizes or n_components."
    )
    with by_torch(), pytest.raises(MemoryError, match=words) as caught:
        model.fit(ROWS[:300])
    assert caught.value.__cause__ is error
    assert vars(model) == before


def test_other_errors_stay_what_they_are():
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))
    assert is_out_of_memory(MemoryError())


# arguments that ask for much


def test_arguments_that_ask_for_more_than_memory():
    rows, series = ROWS[:20, :3], SEQUENCES[:20, :4, :1]
    one = AutoencoderTransformer(2, max_iter=1, random_state=0).fit(rows)
    other = VariationalAutoencoderTransformer(2, max_iter=1, random_state=0).fit(rows)
    even = SequenceAutoencoderTransformer(2, max_iter=1, random_state=0).fit(series)
    ragged = SequenceAutoencoderTransformer(2, max_iter=1, random_state=0).fit(list(series))
    next_step = RNNSequenceRegressor(max_iter=1, random_state=0).fit(series, series[:, -1, 0])
    end = rf", {GIB} of numbers, and this process may have {GIB}. Ask for fewer at a time.$"
    for words, call in {
        "^n_samples asks for 1000000000000 samples": lambda: one.sample(10**12),
        "^n_samples asks for 1000000000001 samples": lambda: other.sample(10**12 + 1),
        "^n_samples asks for 1000000000002 samples": lambda: even.sample(10**12 + 2),
        "^n_importance_samples asks for 1000000000 codes a row": lambda: other.score_samples(
            rows, n_importance_samples=10**9
        ),
        "^n_steps asks for 1000000000000 steps of each sequence": lambda: next_step.forecast(
            series, n_steps=10**12, horizon=1
        ),
        "^lengths asks for 10000000000000 steps in all": lambda: ragged.inverse_transform(
            [[0.0, 1.0]], lengths=[10**13]
        ),
        # few steps, in a rectangle of many
        "^lengths asks for 1000000999 steps in all": lambda: even.inverse_transform(
            np.zeros((1000, 2)), lengths=[10**9, *[1] * 999]
        ),
    }.items():
        with pytest.raises(MemoryError, match=words + end):
            call()


def test_a_generator_is_as_before():
    model = AutoencoderTransformer(2, max_iter=1, random_state=0).fit(ROWS[:20, :3])
    generator = np.random.RandomState(0)
    with pytest.raises(MemoryError):
        model.sample(10**12, random_state=generator)
    assert generator.randint(1 << 30) == np.random.RandomState(0).randint(1 << 30)


# what there is


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Writes files as Linux has them, out of which memory is read; without any limit at first."""
    monkeypatch.setattr(memory, "_GROUPS", str(tmp_path / "groups"))
    monkeypatch.setattr(memory, "_OWN_GROUPS", str(tmp_path / "own"))
    monkeypatch.setattr(memory, "_OWN_PAGES", str(tmp_path / "pages"))
    monkeypatch.setattr(memory, "_physical", lambda: 1 << 40)
    monkeypatch.setattr(memory, "_addresses", lambda: float("inf"))

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def test_without_limits(system):
    assert device_memory(CPU) == 1 << 40


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "max\n"}, 1 << 40),
        ("0::/\n", {"memory.max": "1000000\n"}, 1000000),
        ("0::/a/b\n", {"a/b/memory.max": "3000\n", "memory.max": "max\n"}, 3000),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "4000\n"}, 4000),
        ("0::/not/seen/from/here\n", {"memory.max": "5000\n"}, 5000),
        (None, {"memory.max": "6000\n"}, 6000),
        ("0::/\n", {"memory.max": "many\n"}, 1 << 40),
        ("0::/\n", {"memory.max": ""}, 1 << 40),
        ("4:memory:/job\n0::/\n", {"memory/job/memory.limit_in_bytes": "7000\n"}, 7000),
        ("4:cpu,memory:/job\n", {"memory/memory.limit_in_bytes": "8000\n"}, 8000),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": f"{2**63 - 4096}\n"}, 1 << 40),
        ("nonsense\n", {}, 1 << 40),
    ],
)
def test_control_groups(own, files, expected, system):
    if own is not None:
        system("own", own)
    for name, text in files.items():
        system(f"groups/{name}", text)
    assert device_memory(CPU) == expected


def test_a_limit_of_addresses(system, monkeypatch):
    resource = pytest.importorskip("resource", reason="Windows has no such limits")
    monkeypatch.undo()  # but for the files, that is how it is read
    monkeypatch.setattr(resource, "getrlimit", lambda which: (10**12, 10**12))
    own = memory._addresses()
    assert 0 < own < 10**12
    monkeypatch.setattr(memory, "_OWN_PAGES", "/not/there")
    assert memory._addresses() == 10**12
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
    assert memory._addresses() == float("inf")


def test_under_a_limit_of_addresses():
    """A real one: refused beforehand, or, where nobody could know, by the allocator."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("a system that does not say how much of the limit is taken")
    printed = output_of(
        """
import resource
from pathlib import Path
import numpy as np
import torch
from skaernn import AutoencoderTransformer
from skaernn._core.memory import device_memory

torch.set_num_threads(1)
X = np.random.default_rng(0).random((4000, 500), dtype=np.float32)

class Wasteful(torch.nn.Linear):
    def forward(self, x):
        if len(x) > 2:  # not while it is tried
            x = x + x.new_ones(1 << 33).sum()
        return super().forward(x)

def pair(n_features, n_components):
    encoder = Wasteful(n_features, n_components)
    return encoder, torch.nn.Linear(n_components, n_features)

def make(**given):
    return AutoencoderTransformer(2, max_iter=1, linear_path=False, **given)

make(hidden_layer_sizes=5).fit(X[:100])  # libraries are loaded
n_mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = n_mapped + (200 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
assert 190 << 20 < device_memory(torch.device("cpu")) <= 200 << 20
make(hidden_layer_sizes=50).fit(X)
for given in (
    {"hidden_layer_sizes": (4000, 4000)},
    {"hidden_layer_sizes": 4000, "batch_size": 4000},
    {"architecture": lambda *sizes: pair(*sizes)},
):
    model = make(**given)
    before = dict(vars(model))
    try:
        model.fit(X)
    except MemoryError as error:
        print(error)
    assert vars(model) == before
""",
        environment={"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    ).splitlines()
    assert len(printed) == 3
    assert "has 3.6e+07 parameters; training it needs 0.94 GiB" in printed[0]
    assert printed[1].startswith("Training a network with layer sizes (500, 4000, 2) on 4000 rows")
    assert "and batch_size=200 ran out of memory" in printed[2]


def test_what_is_counted_is_what_is_held():
    """Of what training takes, at most all is counted, and half of it in these cases."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("a system that does not say what the most memory was")
    printed = output_of(
        """
import ctypes
from pathlib import Path
import numpy as np
import torch
from skaernn import AutoencoderTransformer, RNNSequenceRegressor
from skaernn._estimators import fitting

torch.set_num_threads(1)
libc = ctypes.CDLL(None)
counted, check = [0], fitting.check_memory

def noting(n_parameters, dtype, *others, n_numbers=0, **more):
    counted[0] = (7 * n_parameters + n_numbers) * dtype.itemsize
    check(n_parameters, dtype, *others, n_numbers=n_numbers, **more)

def held(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024

fitting.check_memory = noting
how = {"linear_path": False, "batch_size": 4096, "max_iter": 1, "random_state": 0}
how["learning_rate"] = 1e-3
rows = np.random.default_rng(0).random((4096, 784), dtype=np.float32)
series = rows[:200].reshape(200, -1, 8)
images = {"architecture": "convolutional", "image_shape": (28, 28)}
for model, *data in (
    (AutoencoderTransformer(2, 300, **how), rows),
    (AutoencoderTransformer(2, 300, dropout=0.2, **how), rows),
    (AutoencoderTransformer(2, (8, 16), **images, **how), rows[:2048]),
    (RNNSequenceRegressor(hidden_size=64, max_iter=1), series, series[:, 0, 0]),
    (RNNSequenceRegressor(hidden_size=64, cell="mingru", max_iter=1), series, series[:, 0, 0]),
):
    for part in (slice(5), slice(None)):  # the first loads libraries
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = held("VmRSS")
        model.fit(*(array[part] for array in data))
    print(counted[0] / (held("VmHWM") - before))
"""
    )
    shares = [float(share) for share in printed.split()]
    assert len(shares) == 5
    assert 0.4 < min(shares) <= max(shares) <= 1.05, shares  # pages that were there already
