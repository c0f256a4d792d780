"""Do the kernels of an installed wheel run, and agree with torch? For cibuildwheel's tests."""

import os
import pickle
import subprocess
import sys

import numpy as np

import skaernn
from skaernn._native import library

PREDICT = """
import pickle, sys
model, X = pickle.load(sys.stdin.buffer)
pickle.dump(model.predict(X), sys.stdout.buffer)
"""


def predicted(model, X, kernels):
    """What another process predicts with these kernels."""
    done = subprocess.run(
        [sys.executable, "-c", PREDICT],
        input=pickle.dumps((model, X)),
        env={**os.environ, "SKAERNN_KERNELS": kernels},
        capture_output=True,
        check=True,
    )
    return pickle.loads(done.stdout)


skaernn.show_versions()
assert library.kernels() != "torch", "the wheel has no kernels for this processor"
for name in library.built():
    assert library._opened(name).instruction_set == name

X = np.random.default_rng(0).normal(size=(20, 7, 3)).astype(np.float32)
model = skaernn.RNNSequenceRegressor("lstm", max_iter=2, random_state=0).fit(X, X.sum(axis=(1, 2)))
expected = predicted(model, X, "torch")
for name in library.built():
    np.testing.assert_allclose(predicted(model, X, name), expected, rtol=1e-4, atol=1e-5)
