"""What a user gets for every wrong X of the recurrent estimators, whatever form it is in."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from refusal import (
    COMPLEX,
    DATES,
    LARGE,
    NESTED,
    NO_ARRAY,
    PARTS,
    TEXT,
)
from refusal import (
    X as ROWS,
)
from scipy import sparse
from sequence_refusal import (
    FRAMES,
    LABELS,
    RAGGED_X,
    X,
    Y,
    classifier,
    objects,
    refuse,
    regressor,
    replaced,
)
from test_bad_inputs import BAD_X

NO_STEPS = r"X\w*\[1\] has 0 step\(s\)"
ALL_NAN = r"NaN in all steps of sequence {}"
PADDING = "NaN marks steps that are not there only in all channels"
MULTIPLE = "no multiple of n_channels=2"

# Rows of unequal length and three dimensions are sequences here, and have their cases below.
FLAT = {
    name: case for name, case in BAD_X.items() if name != "3-D" and not name.startswith("ragged")
}
FLAT["4-D"] = (lambda: np.ones((5, 2, 2, 3)), ValueError, "4 dimensions; expected 2D or 3D")
FLAT["list of 0-d"] = (lambda: [np.array(1.0), torch.tensor(2.0)], ValueError, "dimension")
FLAT["a row of None"] = (lambda: [[1.0, 2.0], None], ValueError, r"got NoneType .*X\w*\[1\]")


def at(value, sequence=3, step=1):
    """A ragged list with `value` in the second channel somewhere."""
    items = [x.copy() for x in RAGGED_X]
    items[sequence][step, 1] = value
    return items


def mix(item, place=1):
    """A ragged list, one item of which is this."""
    return [*RAGGED_X[:place], item, *RAGGED_X[place + 1 :]]


BAD_SEQUENCES = {
    # shape
    "4-D": (lambda: X[None], ValueError, "4 dimensions; expected 2D or 3D"),
    "4-D tensor": (lambda: torch.ones(2, 2, 2, 2), ValueError, "4 dimensions; expected 2D or 3D"),
    "nested to depth 4": (lambda: X[None].tolist(), ValueError, "3 dimensions; expected 2D"),
    "list of 3-D": (lambda: [X, X], ValueError, r"X\w*\[0\] has 3 dimensions; expected 2D"),
    "the pair (X, y)": (lambda: (X, Y), ValueError, r"X\w*\[0\] has 3 dimensions; expected 2D"),
    "no samples": (lambda: X[:0], ValueError, r"0 sample\(s\)"),
    "no steps": (lambda: X[:, :0], ValueError, r"0 step\(s\)"),
    "no channels": (lambda: X[..., :0], ValueError, r"0 feature\(s\)"),
    "an empty array in a list": (lambda: mix(np.zeros((0, 2))), ValueError, NO_STEPS),
    "an empty list in a list": (lambda: [[[1.0, 2.0]], []], ValueError, NO_STEPS),
    "an empty frame in a list": (lambda: [FRAMES[0], FRAMES[1][:0]], ValueError, NO_STEPS),
    "an empty tensor in a list": (
        lambda: [torch.ones(3, 2), torch.ones(0, 2)],
        ValueError,
        NO_STEPS,
    ),
    "no channels in a list": (lambda: mix(np.zeros((3, 0))), ValueError, r"\[1\] has 0 feature"),
    "empty brackets": (lambda: [[[]]], ValueError, "0 feature"),
    "other channels": (lambda: mix(np.ones((3, 3))), ValueError, r"\[1\] has 3 channels.*has 2"),
    "other channels of lists": (
        lambda: [[[1.0, 2.0]], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]],
        ValueError,
        r"\[1\] has 3 channels.*has 2",
    ),
    "flat rows, no multiple": (lambda: [np.ones(4), np.ones(3)], ValueError, MULTIPLE),
    "flat lists, no multiple": (lambda: [[1, 2], [1, 2, 3]], ValueError, rf"\[1\].*{MULTIPLE}"),
    "columns, no multiple": (lambda: np.ones((8, 5)), ValueError, f"5 columns.*{MULTIPLE}"),
    "ragged steps": (lambda: [[[1, 2], [3, 4]], [[1, 2], [3]]], ValueError, r"X\w*\[1\].*unequal"),
    "a number among steps": (lambda: [[[1, 2], 3], [[1, 2]]], ValueError, r"X\w*\[0\].*unequal"),
    "a number among sequences": (lambda: mix(3.0), ValueError, r"got float .*X\w*\[1\]"),
    # values
    "NaN": (
        lambda: replaced(np.nan, (3, 2, 1)),
        ValueError,
        f"sequence 3, step 2.*{PADDING}",
    ),
    "NaN float32": (
        lambda: replaced(np.nan, (3, 2, 1), np.float32),
        ValueError,
        "NaN.*sequence 3, step 2",
    ),
    "NaN in the first step": (lambda: replaced(np.nan, (3, 0)), ValueError, "sequence 3, step 0"),
    "NaN in a middle step": (lambda: replaced(np.nan, (3, 2)), ValueError, "sequence 3, step 2"),
    "NaN in one channel of the last step": (
        lambda: replaced(np.nan, (3, 5, 1)),
        ValueError,
        f"sequence 3, step 5.*{PADDING}",
    ),
    "NaN in one channel": (lambda: replaced(np.nan, (..., 1)), ValueError, "sequence 0, step 0"),
    "a hole before padding": (
        lambda: replaced(np.nan, (3, [1, 4, 5])),
        ValueError,
        "sequence 3, step 1",
    ),
    "a sequence of NaN": (lambda: replaced(np.nan, 3), ValueError, ALL_NAN.format(3)),
    "nothing but NaN": (lambda: X * np.nan, ValueError, ALL_NAN.format(0)),
    "NaN in a list": (lambda: at(np.nan, 3, 1), ValueError, "NaN.*sequence 3, step 1"),
    "NaN ending a list": (lambda: at(np.nan, 0, 5), ValueError, "NaN.*sequence 0, step 5"),
    "a list of NaN": (lambda: mix(X[1] * np.nan), ValueError, "NaN.*sequence 1, step 0"),
    "None in nested lists": (
        lambda: [[[1.0, None]], [[1.0, 2.0]] * 2],
        ValueError,
        "contains NaN",
    ),
    "NA in objects": (lambda: replaced(pd.NA, (3, 2, 1), object), ValueError, "NaN"),
    "NaN in a frame": (lambda: [f.where(f < 1) for f in FRAMES], ValueError, "NaN"),
    "NA in a frame": (
        lambda: [f.astype("Float64").where(f < 1) for f in FRAMES],
        ValueError,
        "NaN",
    ),
    "null in polars": (lambda: [pl.DataFrame({"u": [1.0, None]})] * 2, ValueError, "NaN"),
    "inf": (lambda: replaced(np.inf, (3, 2, 1)), ValueError, "infinity.*sequence 3, step 2"),
    "-inf in padding": (
        lambda: replaced(-np.inf, (3, 5)),
        ValueError,
        "infinity.*sequence 3, step 5",
    ),
    "inf in a list": (lambda: at(-np.inf, 2, 3), ValueError, "infinity.*sequence 2, step 3"),
    "inf in float32": (
        lambda: [x.astype(np.float32) for x in at(np.inf)],
        ValueError,
        "infinity.*sequence 3, step 1",
    ),
    "400 digits": (lambda: [[[10**400, 1]], [[1, 2], [3, 4]]], ValueError, LARGE),
    "long double": (lambda: [np.full((3, 2), np.longdouble("1e4000"))] * 2, ValueError, LARGE),
    "complex": (lambda: X + 1j, ValueError, COMPLEX),
    "complex list": (lambda: [x + 0j for x in RAGGED_X], ValueError, COMPLEX),
    "complex tensors": (lambda: [torch.ones(3, 2) + 1j, torch.ones(1, 2)], ValueError, COMPLEX),
    "complex cell": (lambda: replaced(1j, (1, 1, 1), object), ValueError, COMPLEX),
    "text": (lambda: X.astype(str), ValueError, TEXT),
    "text in a list": (lambda: mix(X[1].astype(str)), ValueError, rf"X\w*\[1\].*{TEXT}"),
    "text in a cell": (lambda: replaced("1", (1, 1, 1), object), ValueError, TEXT),
    "bytes": (lambda: X.astype("S"), ValueError, TEXT),
    "nested text": (lambda: [[["1", "2"]], [["3", "4"], ["5", "6"]]], ValueError, TEXT),
    "words": (lambda: ["abc", "de"], ValueError, TEXT),
    "dates": (lambda: np.zeros((4, 3, 2), "M8[s]"), TypeError, DATES),
    "durations": (lambda: [np.zeros((n, 2), "m8[s]") for n in (3, 2)], TypeError, DATES),
    "dates in a frame": (
        lambda: [f.assign(v=pd.Timestamp(0)) for f in FRAMES],
        TypeError,
        rf"'v' of X\w*\[0\].*{DATES}",
    ),
    "text in a frame": (
        lambda: [FRAMES[0], FRAMES[1].assign(v="1")],
        ValueError,
        rf"'v' of X\w*\[1\].*{TEXT}",
    ),
    "a dict cell": (lambda: replaced({}, (1, 1, 1), object), TypeError, "real number"),
    # containers
    "generator of arrays": (lambda: (x for x in RAGGED_X), ValueError, f"{NO_ARRAY} generator"),
    "map": (lambda: map(np.asarray, RAGGED_X), ValueError, f"{NO_ARRAY} map"),
    "dict of arrays": (lambda: dict(enumerate(RAGGED_X)), TypeError, f"{NO_ARRAY} dict"),
    "values of a dict": (
        lambda: dict(enumerate(RAGGED_X)).values(),
        ValueError,
        f"{NO_ARRAY} dict_v",
    ),
    "None first": (lambda: mix(None, 0), ValueError, r"got NoneType .*X\w*\[0\]"),
    "None among arrays": (lambda: mix(None), ValueError, r"got NoneType .*X\w*\[1\]"),
    "sets": (lambda: [{1, 2}, {3}], ValueError, r"got set .*X\w*\[0\]"),
    "dicts": (lambda: [{"u": 1}, {"u": 2}], TypeError, r"X\w*\[0\] is a dict, .*pass records"),
    "generators": (lambda: [(v for v in x) for x in X], ValueError, r"got generator .*X\w*\[0\]"),
    "groups of a frame": (
        lambda: pd.concat(FRAMES, keys=range(8)).groupby(level=0),
        ValueError,
        f"{NO_ARRAY} DataFrameGroupBy",
    ),
    "pairs of groups": (
        lambda: list(pd.concat(FRAMES, keys=range(8)).groupby(level=0)),
        ValueError,
        r"X\w*\[0\]",
    ),
    "matrix of arrays": (lambda: objects(RAGGED_X).reshape(4, 2), ValueError, PARTS),
    "packed sequence": (
        lambda: torch.nn.utils.rnn.pack_sequence([torch.ones(3, 2), torch.ones(2, 2)]),
        TypeError,
        "PackedSequence; .* list",
    ),
    "masked": (lambda: np.ma.masked_greater(X, 1), ValueError, "Masked arrays"),
    "masked in a list": (lambda: mix(np.ma.masked_less(X[1], 0)), ValueError, "Masked arrays"),
    "matrix in a list": (lambda: mix(X[1].view(np.matrix)), TypeError, "np.matrix is not supp"),
    "structured": (lambda: np.zeros((3, 2, 2), [("a", "f8")]), ValueError, NESTED),
    "structured in a list": (lambda: mix(np.zeros(3, [("a", "f8")])), ValueError, NESTED),
    "sparse in a list": (lambda: mix(sparse.csr_array(X[1])), TypeError, r"\.toarray\(\)"),
    "all sparse": (lambda: [sparse.csr_array(x) for x in RAGGED_X], TypeError, r"\.toarray\(\)"),
    "sparse tensors": (
        lambda: [torch.ones(3, 2).to_sparse()] * 2,
        TypeError,
        r"\[0\].*sparse tensor",
    ),
    "meta tensors": (lambda: [torch.ones(3, 2, device="meta")] * 2, TypeError, "meta tensor"),
    "lazy frames": (lambda: [pl.LazyFrame({"u": [1.0]})] * 2, TypeError, r"collect\(\) first"),
    "frames, renamed": (
        lambda: [FRAMES[0], FRAMES[1].rename(columns={"v": "z"})],
        ValueError,
        r"\[1\].*'u', 'z'.*'u', 'v'",
    ),
    "frames, reordered": (
        lambda: [FRAMES[0], FRAMES[1][["v", "u"]]],
        ValueError,
        r"\[1\].*'v', 'u'.*'u', 'v'",
    ),
    "frames, duplicate names": (
        lambda: [f.set_axis(["u", "u"], axis=1) for f in FRAMES],
        ValueError,
        "duplicate column names: u",
    ),
    "frames, mixed names": (
        lambda: [f.set_axis(["u", 1], axis=1) for f in FRAMES],
        TypeError,
        "all input features have string names",
    ),
}

bad_x = pytest.mark.parametrize(
    ("data", "error", "words", "kind"),
    [
        *(pytest.param(*case, 1, id=name) for name, case in FLAT.items()),
        *(pytest.param(*case, 2, id=name) for name, case in BAD_SEQUENCES.items()),
    ],
)


def models(kind, fitted, **parameters):
    """A model for a case, and what it was, or could be, fitted on."""
    model = regressor(n_channels=kind, **parameters)
    known = (ROWS, np.arange(20.0)) if kind == 1 else (X, Y)
    return (model.fit(*known) if fitted else model), *known


@pytest.fixture(scope="module")
def fitted():
    return {kind: models(kind, True, warm_start=True) for kind in (1, 2)}


# Names are looked at first, and a frame after an array has its own test below.
names_apart = pytest.mark.filterwarnings("ignore:X has feature names, but")


@names_apart
@bad_x
def test_fit_refuses(data, error, words, kind, fitted):
    new, _, y = models(kind, False)
    refuse(new, lambda: new.fit(data(), y), error, words)
    refuse(new, lambda: new.partial_fit(data(), y), error, words)
    model, known, y = fitted[kind]
    refuse(model, lambda: model.fit(data(), y), error, words, known)
    refuse(model, lambda: model.partial_fit(data(), y), error, words, known)


@names_apart
@bad_x
def test_validation_sequences_are_checked_like_x(data, error, words, kind):
    model, known, y = models(kind, False, early_stopping=True)
    refuse(model, lambda: model.fit(known, y, X_val=data(), y_val=y), error, words)


@names_apart
@bad_x
def test_a_fitted_model_refuses(data, error, words, kind, fitted):
    model, known, y = fitted[kind]
    refuse(model, lambda: model.predict(data()), error, words, known)
    for call in (lambda: model.score(data(), y), lambda: model.forecast(data(), 2)):
        with pytest.raises(error, match=words):
            call()


@bad_x
def test_a_classifier_refuses(data, error, words, kind):
    model = classifier(n_channels=kind)
    y = np.arange(20) % 2 if kind == 1 else LABELS
    refuse(model, lambda: model.fit(data(), y), error, words)


@names_apart
@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "score"])
@pytest.mark.parametrize(
    "name", ["NaN", "other channels", "text", "no steps", "groups of a frame"]
)
def test_a_fitted_classifier_refuses(name, method, vowels):
    data, error, words = BAD_SEQUENCES[name]
    y = [LABELS] if method == "score" else []
    refuse(vowels, lambda: getattr(vowels, method)(data(), *y), error, words)


@pytest.fixture(scope="module")
def vowels():
    return classifier().fit(X, LABELS)


@pytest.fixture(scope="module")
def plain():
    return regressor().fit(X, Y)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs tensors on a CUDA device")
def test_cuda_tensors(plain):
    for data in (torch.ones(3, 6, 2, device="cuda"), [torch.ones(3, 2, device="cuda")] * 3):
        refuse(plain, lambda data=data: plain.predict(data), TypeError, r"\.cpu\(\)")


def test_one_sequence_is_no_list_of_sequences(plain):
    words = r"sequence of one step.*X\[None\]"
    with pytest.warns(UserWarning, match=words):
        plain.predict(X[0])
    np.testing.assert_array_equal(plain.predict(X[0][None]), plain.predict([X[0]]))
    other = regressor().fit(np.ones((8, 6, 3)), Y)
    univariate = regressor(n_channels=1).fit(X, Y)
    words = "n_channels=[12] .* expecting [32]: set n_channels, or, for one sequence .*X\\[None\\]"
    refuse(other, lambda: other.predict(np.ones((6, 3))), ValueError, words, np.ones((8, 6, 3)))
    refuse(univariate, lambda: univariate.predict(X[0]), ValueError, words)
    new = regressor()
    words = r"no multiple of n_channels=2.*one sequence.*pass X\[None\]"
    refuse(new, lambda: new.fit(np.ones((6, 3)), Y[:6]), ValueError, words)


def test_none_is_no_array(plain):
    words = "Expected 2D array, got NoneType"
    refuse(plain, lambda: plain.fit(None, Y), ValueError, words)
    refuse(plain, lambda: plain.predict(None), ValueError, words)


def test_one_series_is_no_sample(plain):
    refuse(plain, lambda: plain.fit(X[0, :, 0], Y), ValueError, "Reshape your data")
    refuse(plain, lambda: plain.predict(X[0, :, 0]), ValueError, "Reshape your data")


def test_axes_in_another_order(plain):
    words = "inconsistent numbers of samples: .*6, 8"
    refuse(plain, lambda: plain.fit(X.transpose(1, 0, 2), Y), ValueError, words)
    words = "X has 6 channels, but RNNSequenceRegressor is expecting 2 channels"
    refuse(plain, lambda: plain.predict(X.transpose(0, 2, 1)), ValueError, words)


def test_x_and_y_changed_places(plain):
    refuse(plain, lambda: plain.fit(Y, X), ValueError, "Reshape your data")
