"""Sequence autoencoders in odd places."""

import numpy as np
import pytest

from skaernn import SequenceAutoencoderTransformer

X = np.random.default_rng(0).normal(size=(20, 6, 2))


@pytest.mark.parametrize("given", [[], [1.0, 2.0], np.empty(0)])
def test_no_sequences_are_not_two_dimensional(given):
    model = SequenceAutoencoderTransformer(max_iter=2, random_state=0).fit(X)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        model.transform(given)
    model.set_params(early_stopping=True)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        model.fit(X, X_val=given)


def test_more_steps_than_memory_are_refused():
    model = SequenceAutoencoderTransformer(max_iter=1).fit([[[1.0], [2.0]], [[0.0]]])
    with pytest.raises(MemoryError, match="lengths asks for 10000000000000 steps"):
        model.inverse_transform([[0.0, 1.0]], lengths=[10**13])
