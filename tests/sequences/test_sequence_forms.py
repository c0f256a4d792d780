"""Contract 6: a fit and its answers do not depend on the form that sequences come in."""

import numpy as np
import torch
from sequence_variants import (
    LABELS,
    STRUCTURES,
    VARIANTS,
    answers,
    assert_same,
    fitted_bits,
    flat,
    padded,
    parametrized,
)


def forms_of(X):
    """Sequences in every form, with the lengths that go with it."""
    objects = np.empty(len(X), dtype=object)
    objects[:] = X
    wide, lengths = padded(X, np.nan)
    wider = np.concatenate([np.nan_to_num(wide, nan=7.0), np.full_like(wide, -np.inf)], axis=1)
    return {
        "tuple": (tuple(X), None),
        "object array": (objects, None),
        "nested lists": ([x.tolist() for x in X], None),
        "tensors": ([torch.from_numpy(x) for x in X], None),
        "NaN": (wide, None),
        "lengths": (padded(X, 0.0)[0], lengths),
        "more padding": (wider, lengths),
    }


def per_row(y, n_steps):
    """Ragged answers as an array with something beyond the ends."""
    if not isinstance(y, list):
        return y
    fill = LABELS[0] if y[0].dtype.kind == "U" else 0.5
    wide = np.full((len(y), n_steps), fill, dtype=y[0].dtype)
    for row, part in zip(wide, y, strict=True):
        row[: len(part)] = part
    return wide


class TestForms:
    @parametrized(VARIANTS)
    def test_one_fit_and_one_answer(self, variant):
        X, y = variant.data()
        estimator = variant.make().fit(X, y)
        expected = {**fitted_bits(estimator), **answers(estimator, X)}
        for name, (form, lengths) in forms_of(X).items():
            targets = y if lengths is None and name != "NaN" else per_row(y, form.shape[1])
            other = variant.make().fit(form, targets, lengths=lengths)
            found = {**fitted_bits(other), **answers(other, X)}
            assert_same(found, expected, name)
            said = estimator.predict(form, lengths=lengths)
            if variant.per_step and isinstance(form, np.ndarray) and form.ndim == 3:
                said = np.concatenate([row[: len(x)] for row, x in zip(said, X, strict=True)])
            np.testing.assert_array_equal(flat(said), expected["predict"], name)

    @parametrized(STRUCTURES)
    def test_rows_of_channels_are_arrays(self, variant):
        array = np.random.default_rng(0).normal(size=(20, 4, 3))
        y = per_row(variant.targets(array), 4)
        estimator = variant.make().fit(array, y)
        rows = variant.make(n_channels=3).fit(array.reshape(20, 12), y)
        assert_same(fitted_bits(rows), fitted_bits(estimator))
        assert_same(answers(rows, array.reshape(20, 12)), answers(estimator, array))
        assert (rows.n_features_in_, estimator.n_features_in_) == (12, 3)
