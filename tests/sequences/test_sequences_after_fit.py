"""What a user gets for other sequences than in fit, before a fit, and for networks too large."""

import numpy as np
import pytest
from refusal import LARGE
from sequence_refusal import (
    FRAME,
    FRAMES,
    LABELS,
    LENGTHS,
    NAMES,
    RAGGED_X,
    X,
    Y,
    classifier,
    refuse,
    regressor,
    targets_of,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError


@pytest.fixture(scope="module")
def vowels():
    return classifier().fit(X, LABELS)


@pytest.fixture(scope="module")
def plain():
    return regressor().fit(X, Y)


CALLS = {
    "predict": lambda model, X: model.predict(X),
    "predict_proba": lambda model, X: model.predict_proba(X),
    "predict_log_proba": lambda model, X: model.predict_log_proba(X),
    "score": lambda model, X: model.score(X, targets_of(model)),
    "forecast": lambda model, X: model.forecast(X, 2),
    "partial_fit": lambda model, X: model.partial_fit(X, targets_of(model)),
}
OF_BOTH = ("predict", "score", "partial_fit")


@pytest.mark.parametrize("data", [X, None, "no data"], ids=["X", "None", "str"])
@pytest.mark.parametrize("method", [name for name in CALLS if name != "partial_fit"])
def test_before_fit(method, data):
    for model in (regressor(), classifier()):
        if hasattr(model, method):
            refuse(model, lambda m=model: CALLS[method](m, data), NotFittedError, "not fitted yet")


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("width", [1, 3])
def test_other_channels_than_in_fit(width, method, plain, vowels):
    array = np.ones((8, 6, width))
    model = vowels if "proba" in method else plain
    words = f"X has {width} channels, but .* is expecting 2"
    for form in (array, list(array), [x[:n] for x, n in zip(array, LENGTHS, strict=True)]):
        refuse(model, lambda form=form: CALLS[method](model, form), ValueError, words)


@pytest.mark.parametrize("method", OF_BOTH)
def test_columns_of_2d_are_features(method):
    model = regressor().fit(FRAME.to_numpy(), Y)
    words = "X has 10 features, but RNNSequenceRegressor is expecting 12"
    refuse(model, lambda: CALLS[method](model, FRAME.to_numpy()[:, :10]), ValueError, words)


def test_other_lengths_are_welcome(plain):
    for model in (clone(plain).fit(X, Y), regressor().fit(FRAME.to_numpy(), Y)):
        expected = model.predict(X[:, :4])
        np.testing.assert_array_equal(model.predict(list(X[:, :4])), expected)
        assert model.predict(X.repeat(3, axis=1)).shape == (8,)
        assert np.isfinite(model.partial_fit(X[:, :4], Y).predict(X)).all()


def test_fitted_in_one_form_and_used_in_another(plain):
    expected = plain.predict(X)
    np.testing.assert_array_equal(plain.predict(X.reshape(8, 12)), expected)
    model = regressor().fit(FRAME, Y)
    np.testing.assert_array_equal(model.predict(FRAME), expected)
    np.testing.assert_array_equal(model.predict(X), expected)
    np.testing.assert_array_equal(model.predict(list(X)), expected)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (FRAME.rename(columns={"step0u": "z"}), "unseen at fit time:\n- z"),
        (FRAME[NAMES[::-1]], "must be in the same order"),
        (FRAME[NAMES[:10]], "now missing:\n- step5"),
        (FRAME.assign(more=0.0), "unseen at fit time:\n- more"),
    ],
    ids=["renamed", "reordered", "missing", "additional"],
)
def test_other_columns(frame, words):
    model = regressor(warm_start=True).fit(FRAME, Y)
    for method in OF_BOTH:
        refuse(model, lambda m=method: CALLS[m](model, frame), ValueError, words, FRAME)
    refuse(model, lambda: model.fit(frame, Y), ValueError, words, FRAME)
    model = regressor(early_stopping=True).fit(FRAME, Y)
    validate = {"X_val": frame, "y_val": Y}
    refuse(model, lambda: model.fit(FRAME, Y, **validate), ValueError, words, FRAME)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f[["v", "u"]], "must be in the same order"),
        (lambda f: f.rename(columns={"v": "z"}), "unseen at fit time:\n- z"),
        (lambda f: f.assign(w=0.0), "unseen at fit time:\n- w"),
    ],
    ids=["reordered", "renamed", "additional"],
)
def test_other_channels_of_listed_frames(change, words):
    model = regressor().fit(FRAMES, Y)
    assert list(model.feature_names_in_) == ["u", "v"]
    frames = [change(frame) for frame in FRAMES]
    refuse(model, lambda: model.predict(frames), ValueError, words, FRAMES)


def test_names_on_one_side_only(plain):
    with pytest.warns(UserWarning, match="X has feature names, but"):
        plain.predict(FRAMES)
    rows = regressor().fit(FRAME.to_numpy(), Y)
    with pytest.warns(UserWarning, match="X has feature names, but"):
        rows.predict(FRAME)
    model = regressor().fit(FRAME, Y)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but"):
        np.testing.assert_array_equal(model.predict(FRAME.to_numpy()), plain.predict(X))


@pytest.mark.parametrize("value", [0, 3, 1.5, "2", None])
def test_n_channels_changed_after_fit(value, plain):
    model = regressor().fit(X, Y).set_params(n_channels=value)
    for form in (FRAME.to_numpy(), [x.ravel() for x in RAGGED_X]):
        refuse(model, lambda form=form: model.predict(form), ValueError, "n_channels")
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))


# Sizes


def test_float32_cannot_hold_everything(plain):
    forms = (X * 1e300, [x * 1e300 for x in RAGGED_X], X.reshape(8, 12) * 1e300)
    single = regressor().fit(X.astype(np.float32), Y)
    for form in forms:
        new = regressor(dtype="float32", early_stopping=True)
        refuse(new, lambda form=form, new=new: new.fit(form, Y), ValueError, LARGE)
        refuse(
            new,
            lambda form=form, new=new: new.fit(X, Y, X_val=form, y_val=Y),
            ValueError,
            LARGE,
        )
        refuse(single, lambda form=form: single.predict(form), ValueError, LARGE)
        refuse(single, lambda form=form: single.partial_fit(form, Y), ValueError, LARGE)


@pytest.mark.parametrize("data", [lambda: X[:1], lambda: [X[0]] * 5], ids=["one", "five equal"])
def test_one_sequence_cannot_be_split(data):
    model = regressor(early_stopping=True)
    y = np.zeros(len(data()))
    words = "validation set is too small.*n_samples=1"
    refuse(model, lambda: model.fit(data(), y), ValueError, words)


@pytest.mark.parametrize(
    "parameters",
    [{"hidden_size": 10**7}, {"hidden_size": 10**10}, {"hidden_size": 10**5, "n_layers": 1000}],
    ids=str,
)
def test_more_parameters_than_memory(parameters):
    for model in (regressor(**parameters), classifier(**parameters)):
        words = r"layer sizes \(.* GiB.*smaller hidden_size or n_layers"
        refuse(model, lambda m=model: m.fit(X, targets_of(m)), MemoryError, words)
