"""Every variant of the recurrent estimators, generated from the registries themselves.

A new entry of a registry is tested by the common checks and the contracts without a new line here.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor
from skaernn._solvers import SCHEDULES, SOLVERS
from skaernn._target_losses import TARGET_LOSSES
from skaernn.networks import ACTIVATIONS, CELLS, POOLINGS

# Small and quick. Without a tolerance no plateau is waited for, so that three epochs are no
# ConvergenceWarning under any schedule.
SMALL = {"hidden_size": 4, "max_iter": 3, "tol": 0, "random_state": 0}
LABELS = np.array(["high", "low", "mid"])


@dataclass(frozen=True)
class Variant:
    """Parameters of one of the two estimators, and data that they take."""

    classifier: bool = False
    params: dict = field(default_factory=dict)

    def __str__(self):
        kind = "classifier" if self.classifier else "regressor"
        return "-".join([kind, *(f"{k}={v}" for k, v in self.params.items())])

    @property
    def per_step(self):
        return self.params.get("return_sequences", False)

    @property
    def has_state(self):
        return not self.params.get("bidirectional", False)

    @property
    def can_go_on(self):
        """Whether there is a `partial_fit` that takes such parameters."""
        balanced = self.params.get("class_weight") == "balanced"  # of all y, which it never sees
        return hasattr(self.make(), "partial_fit") and not balanced

    def make(self, **more):
        estimator = RNNSequenceClassifier if self.classifier else RNNSequenceRegressor
        return estimator(**{**SMALL, **self.params, **more})

    def targets(self, X, seed=1):
        """Answers for the sequences of X: in [0, 1], as two of the losses need it, or classes."""
        generator = np.random.default_rng(seed)

        def some(n):
            if self.classifier:
                return LABELS[np.r_[np.arange(min(n, 3)), generator.integers(0, 3, max(n - 3, 0))]]
            return generator.random(n)

        return [some(len(x)) for x in X] if self.per_step else some(len(X))

    def data(self, n=24, n_channels=2, longest=6, seed=0, dtype=np.float64):
        """Sequences of unequal length and their answers."""
        X = ragged(n, n_channels, longest, seed, dtype)
        return X, self.targets(X, seed + 1)

    def goes_on(self, estimator, X, y, **more):
        """`partial_fit`, which wants to know all classes."""
        if self.classifier:
            more["classes"] = LABELS
        return estimator.partial_fit(X, y, **more)


def ragged(n, n_channels=2, longest=6, seed=0, dtype=np.float64):
    """A list of arrays of 1 to `longest` steps, some of either."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest + 1, n)
    lengths[: min(2, n)] = [longest, 1][: min(2, n)]
    return [generator.normal(size=(length, n_channels)).astype(dtype) for length in lengths]


def padded(X, fill):
    """A list as an array (n, T, C), and its lengths."""
    lengths = np.array([len(x) for x in X])
    array = np.full((len(X), lengths.max(), *X[0].shape[1:]), fill, dtype=X[0].dtype)
    for row, x in zip(array, X, strict=True):
        row[: len(x)] = x
    return array, lengths


def flat(answer):
    """One array of what may be an array of arrays."""
    return np.concatenate(list(answer)) if answer.dtype == object else answer


def answers(estimator, X, **how):
    """All that an estimator says of sequences, ragged answers in one piece."""
    found = {"predict": flat(estimator.predict(X, **how))}
    if hasattr(estimator, "classes_"):
        found["predict_proba"] = flat(estimator.predict_proba(X, **how))
    elif estimator.loss == "gaussian":
        found["deviation"] = flat(estimator.predict(X, return_std=True, **how)[1])
    if not estimator.bidirectional:
        found["state"] = estimator.predict(X, return_state=True, **how)[1]
    return found


def fitted_bits(estimator):
    """Everything a fit decides."""
    names = ("loss_curve_", "loss_", "best_loss_", "validation_scores_", "n_iter_", "t_",
             "best_validation_score_", "n_outputs_", "state_size_")  # fmt: skip
    weights = {name: w.numpy() for name, w in estimator.module_.state_dict().items()}
    return {**{name: getattr(estimator, name) for name in names}, **weights}


def assert_same(found, expected, what=""):
    """Equal to the last bit."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, f"{what} {name}")
        assert getattr(found[name], "dtype", None) == getattr(value, "dtype", None), name


SHAPES = [
    {},
    {"n_layers": 2},
    {"bidirectional": True},
    *({"pooling": name} for name in POOLINGS if name != "last"),
]


def _cells():
    for cell in CELLS:
        for shape in SHAPES:
            yield {"cell": cell, **shape}


def _other_structures():
    yield {"cell": "rnn", "activation": "relu"}
    yield {"cell": "gru", "n_layers": 2, "bidirectional": True, "pooling": "attention"}
    yield {"cell": "gru", "input_skip": False}


def _others(parameter, registry):
    """All entries but the default, which the structures have."""
    default = RNNSequenceRegressor().get_params()[parameter]
    yield from ({parameter: name} for name in registry if name != default)


def _shared():
    for schedule in SCHEDULES:
        yield {"schedule": schedule}
        for solver in _others("solver", SOLVERS):
            yield {**solver, "schedule": schedule}
    yield {"dtype": "float32"}
    yield {"scaling": None}
    yield {"dropout": 0.3, "n_layers": 2}
    yield {"alpha": 0.1}
    yield {"early_stopping": True}


def _more():
    yield {"dtype": "float64"}
    yield {"max_grad_norm": None}
    yield {"loss": "quantile", "quantile": 0.9}
    yield {"early_stopping": True, "dropout": 0.3, "pooling": "mean"}
    yield {"batch_size": 7}
    yield {"batch_size": 7, "dropout": 0.3, "solver": "sgd"}
    yield {"shuffle": False}


def _of_regressors():
    yield from _others("loss", TARGET_LOSSES)
    yield from _others("output_activation", ACTIVATIONS)


def _of_classifiers():
    yield {"class_weight": "balanced"}
    yield {"class_weight": dict(zip(LABELS.tolist(), [1.0, 2.0, 0.5], strict=True))}


def _per_step():
    for cell in CELLS:
        yield {"cell": cell, "return_sequences": True}
    yield {"return_sequences": True, "bidirectional": True}
    yield {"return_sequences": True, "dropout": 0.3, "batch_size": 7}
    yield {"return_sequences": True, "early_stopping": True}


def _regressors(*generators):
    return [Variant(False, params) for generator in generators for params in generator()]


def _classifiers(*generators):
    return [Variant(True, params) for generator in generators for params in generator()]


def parametrized(variants):
    return pytest.mark.parametrize("variant", variants, ids=str)


# Networks, whose passes and steps differ; the classifier shares them.
STRUCTURES = _regressors(_cells, _other_structures, _per_step)

# The cells alone, for what does not depend on more.
PLAIN = [v for v in STRUCTURES if v.params.keys() == {"cell"}]

# What goes around the network.
OPTIONS = [
    *_regressors(_shared, _of_regressors, _more),
    *_classifiers(_of_classifiers),
    Variant(True),
    Variant(True, {"cell": "gru", "pooling": "attention", "bidirectional": True}),
    Variant(True, {"return_sequences": True}),
    Variant(True, {"return_sequences": True, "class_weight": "balanced", "dropout": 0.3}),
    Variant(True, {"early_stopping": True}),
    Variant(True, {"solver": "lbfgs"}),
    Variant(True, {"batch_size": 7}),
]
VARIANTS = STRUCTURES + OPTIONS

# What trains in a way of its own: for what a loss or a pooling cannot change.
_COURSES = {"solver", "schedule", "early_stopping", "batch_size", "dropout", "class_weight"}
COURSES = PLAIN + [v for v in OPTIONS if not v.params or v.params.keys() & _COURSES]

# What scikit-learn's checks are run on. One output a step cannot be among these: their y is one
# number a sequence.
CHECKED = [
    *_regressors(_cells, _other_structures, _shared, _of_regressors),
    *_classifiers(_cells),
    Variant(True, {"class_weight": "balanced"}),
]

# What contradicts one or another check by nature.
ALL_VARIANTS = [
    *VARIANTS,
    Variant(False, {"warm_start": True}),
    Variant(False, {"batch_size": 7, "shuffle": False}),
]
