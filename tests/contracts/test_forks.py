"""Contract 11: what a forked process is asked for, it answers.

The threads that GNU OpenMP keeps for large products are not forked with a process: who waits for
them waits for ever. So the products here are large enough for two threads.
"""

import functools
import os
from textwrap import indent

import pytest
from processes import output_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

PROGRAM = """
import hashlib, os, warnings
import numpy as np
import torch
from skaernn import AutoencoderTransformer

# Python says that a process with threads forks: that is what this is about
warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*multi-threaded.*")
torch.set_num_threads(2)
X = np.random.default_rng(0).random((200, 400), dtype=np.float32)

def make(**others):
    given = {"hidden_layer_sizes": (150,), "linear_path": False, "max_iter": 2, "tol": 0}
    return AutoencoderTransformer(2, **{**given, "random_state": 0, **others})

def answers(_=None):
    model = make().fit(X)
    codes = model.transform(X)
    back = model.inverse_transform(codes)
    assert np.isfinite(back).all() and np.isfinite(model.score(X))
    return torch.get_num_threads(), hashlib.sha256(back).hexdigest()

def forked(function, *arguments):
    pid = os.fork()
    if not pid:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0

n_threads, expected = answers()  # from now on there are threads that wait for work
assert n_threads == 2
"""

WITHIN_A_FIT = """
from unittest import mock
from skaernn._training.compiled import CompiledSteps
from skaernn._training.solvers import Adam

pids = []

def forking(function):
    def forks(*arguments):
        if not pids:
            pids.append(os.fork())
        return function(*arguments)
    return forks

with (
    mock.patch.object(Adam, "step", forking(Adam.step)),
    mock.patch.object(CompiledSteps, "take", forking(CompiledSteps.take)),  # with kernels
):
    model = make(batch_size=BATCH_SIZE).fit(X)
if not pids[0]:
    try:
        assert torch.get_num_threads() == 1
        answers()
        make(batch_size=10).fit(X)
        assert torch.get_num_threads() == 1
        os._exit(0)
    finally:
        os._exit(1)
assert os.waitpid(pids[0], 0)[1] == 0
assert torch.get_num_threads() == 2
assert answers() == (2, expected)
"""

PROGRAMS = {
    "os fork": """
def child():
    n_threads, bits = answers()
    assert n_threads == 1
    model.transform(X)
    model.score(X)
    forked(lambda: answers())  # and its own child
    import threading
    seen = []
    thread = threading.Thread(target=lambda: seen.append(answers()))
    thread.start()
    thread.join()
    assert seen[0] == (1, bits)

model = make().fit(X)
forked(child)
assert torch.get_num_threads() == 2
assert answers() == (2, expected)
""",
    "start method fork": """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map(answers, range(3))
assert found == found[:1] * 3 and found[0][0] == 1, found
assert answers() == (2, expected)
""",
    "multiprocessing of joblib": """
import joblib
found = joblib.Parallel(n_jobs=2, backend="multiprocessing")(
    joblib.delayed(answers)() for _ in range(3)
)
assert found == found[:1] * 3, found
assert answers() == (2, expected)
""",
    "within a fit of large products": WITHIN_A_FIT.replace("BATCH_SIZE", "200"),
    # where there is one thread already, and a limit that is left in the child, too
    "within a fit of small products": WITHIN_A_FIT.replace("BATCH_SIZE", "10"),
    # the thread that would let go of it is not forked
    "while another thread holds every lock": """
import threading
from skaernn._core import device
from skaernn.networks import _carried

def pair(n_features, n_components):
    encoder = torch.nn.Linear(n_features, n_components)
    return encoder, torch.nn.Linear(n_components, n_features)

held, let_go = threading.Event(), threading.Event()

def hold():
    with device._limit._lock, _carried._GENERATORS:
        held.set()
        let_go.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
forked(lambda: make(architecture=pair, batch_size=10).fit(X))
let_go.set()
thread.join()
""",
}


@functools.cache
def run():
    """All programs, one after the other in one process: what it prints.

    Importing torch takes longer than all of them; and each ends with the threads it began with.
    """
    parts = [
        f"try:\n{indent(program, '    ')}    print({name!r}, 'passed')\n"
        f"except BaseException:\n    import traceback; print({name!r}, traceback.format_exc())\n"
        for name, program in PROGRAMS.items()
    ]
    return output_of(PROGRAM + "".join(parts), limit=120).splitlines()


@pytest.mark.parametrize("name", PROGRAMS)
def test_forked_while(name):
    assert f"{name} passed" in run(), "\n".join(run())
