"""Contract 12: numbers of any size give finite answers or a ValueError, and nothing else is said.

Matrices of every scale that float64 and float32 have, of columns of different scales, with
subnormal numbers, limits of the types, both signs, and next to nothing between large values.
"""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
)

SHAPE = 12, 4  # as sequences, two steps of two channels


def matrices():
    """Several hundred, by name."""
    generator = np.random.default_rng(0)
    normal = generator.normal(size=SHAPE)
    for exponent in range(-323, 308, 15):
        yield f"1e{exponent}", normal * 10.0**exponent
    for exponent in (*range(-300, 301, 50), 307):
        yield f"about 1e{exponent}", 10.0**exponent * (1 + 1e-3 * normal)
        yield f"positive, 1e{exponent}", np.abs(normal) * 10.0**exponent
    for exponent in range(-45, 39, 4):
        yield f"single 1e{exponent}", (normal * 10.0**exponent).astype(np.float32)
    for i in range(35):
        exponents = generator.integers(-320, 308, SHAPE[1])
        yield f"random columns {i}: {exponents}", normal * 10.0**exponents
    for i in range(21):
        exponents = generator.integers(-45, 38, SHAPE[1])
        yield (
            f"random single columns {i}: {exponents}",
            (normal * 10.0**exponents).astype(np.float32),
        )
    for i in range(28):
        exponents = generator.integers(-320, 308, SHAPE)
        yield f"random numbers {i}", normal * 10.0**exponents
    for dtype in (np.float32, np.float64):
        limits, name = np.finfo(dtype), dtype.__name__
        for what in ("max", "min", "tiny", "smallest_subnormal", "eps"):
            value = getattr(limits, what)
            yield f"{name} {what}", np.full(SHAPE, value)
            yield f"{name} {what} or 0", np.where(normal > 0, value, dtype(0))
            yield f"{name} {what} of both signs", np.where(normal > 0, value, -value)
            one = normal.astype(dtype)
            one[3, 2] = value
            yield f"{name} one {what}", one
        yield f"{name} next to one", dtype(1) + limits.eps * (normal > 0)
        large = np.full(SHAPE, limits.max / 2)
        yield f"{name} next to large", np.where(normal > 0, np.nextafter(large, 0), large)


MATRICES = dict(matrices())
SMALL = {"max_iter": 2, "random_state": 0}
MODELS = {
    "autoencoder": AutoencoderTransformer(2, 3, **SMALL),
    "standardised": AutoencoderTransformer(2, 3, scaling="standard", linear_path=False, **SMALL),
    "unscaled": AutoencoderTransformer(2, 3, scaling=None, **SMALL),
    "variational": VariationalAutoencoderTransformer(2, 3, **SMALL),
    "regressor": RNNSequenceRegressor(hidden_size=3, **SMALL),
    "classifier": RNNSequenceClassifier(hidden_size=3, **SMALL),
    "sequences": SequenceAutoencoderTransformer(2, hidden_size=3, **SMALL),
}


def matrices_of(model):
    """All that are no random draws, and of these two in seven: each draw is for two models."""
    number, n_draws = list(MODELS).index(model), 0
    for name, matrix in MATRICES.items():
        draw = name.startswith("random")
        if not draw or (n_draws - number) % len(MODELS) in (0, 3):
            yield name, matrix
        n_draws += draw


FINITE = "transform", "predict", "predict_proba"
# squares in X's units, and logarithms of zero, may be infinite
NUMBERS = "score_samples", "reconstruction_error", "score", "predict_log_proba"


def is_beyond(name, matrix):
    """Whether nothing is promised, and why."""
    limits = np.finfo(matrix.dtype)
    if name == "unscaled":  # the sums of a layer are beyond the type where its inputs nearly are
        return np.abs(matrix).max() >= limits.max / 4
    if name == "variational":  # the variance of what is the smallest number or 0, or last bits
        largest = np.abs(matrix).max()
        return largest <= limits.smallest_subnormal or np.ptp(matrix / largest) <= limits.eps
    return False


def check(name, matrix):
    """Fit and ask; returns whether it was refused."""
    model, data = MODELS[name], [matrix]
    if name in ("regressor", "classifier", "sequences"):
        data = [matrix.reshape(len(matrix), 2, 2)]
    if name in ("regressor", "classifier"):
        # a prediction may be a little beyond y
        data.append(matrix[:, 0] / 2 if name == "regressor" else np.arange(len(matrix)) % 2)
    try:
        model.fit(*data)
    except ValueError as error:
        return "too large" in str(error) or pytest.fail(str(error))
    X = data[0]
    for method in FINITE:
        if hasattr(model, method):
            assert np.isfinite(getattr(model, method)(X)).all(), method
    if hasattr(model, "inverse_transform"):  # the type may end between a row and its copy
        assert not np.isnan(model.inverse_transform(model.transform(X))).any()
    for method in NUMBERS:
        if hasattr(model, method):
            answers = getattr(model, method)(*(data if method == "score" else [X]))
            assert not np.isnan(answers).any(), method
    return False


@pytest.mark.parametrize("name", MODELS)
def test_numbers_of_any_size(name):
    refused = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for what, matrix in matrices_of(name):
            if is_beyond(name, matrix):
                continue
            try:
                if check(name, matrix):
                    refused.add(what)
            except (AssertionError, Warning, RuntimeError, ArithmeticError) as error:
                pytest.fail(f"{what}: {error!r}")
    far_apart = {
        f"{dtype} {what} of both signs"
        for dtype in ("float32", "float64")
        for what in ("max", "min")
    }
    assert refused == (far_apart if name != "unscaled" else set())
