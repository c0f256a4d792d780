"""Contract 3: a fresh process gives the same bits."""

import hashlib

import numpy as np
from processes import output_of

FITS = """
import hashlib, numpy as np
from skaernn import AutoencoderTransformer, RNNSequenceRegressor
X = np.random.default_rng(0).random((40, 5))
how = {"dropout": 0.2, "batch_size": 7, "max_iter": 5, "random_state": 0}

def fits():
    model = AutoencoderTransformer(hidden_layer_sizes=(8,), **how).fit(X)
    yield model.inverse_transform(model.transform(X))
    for cell in ("rnn", "lstm", "gru", "mingru"):
        model = RNNSequenceRegressor(cell, 8, n_layers=2, pooling="attention", **how)
        yield model.fit(X, np.sin(5 * X[:, 0])).predict(X)
"""


def test_a_fresh_process_gives_the_same_bits():
    printed = output_of(
        FITS + "for answer in fits():\n    print(hashlib.sha256(answer).hexdigest())"
    )
    here = {}
    exec(FITS, here)
    expected = [
        hashlib.sha256(np.ascontiguousarray(answer)).hexdigest() for answer in here["fits"]()
    ]
    assert printed.split() == expected
    assert len(set(expected)) == 5
