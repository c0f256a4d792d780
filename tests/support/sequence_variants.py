"""Every variant of the recurrent estimators, generated from the registries themselves.

A new entry of a registry is tested by the common checks and the contracts without a new line here.
"""

from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import pytest
from pairwise import all_pairs, each_choice

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor
from skaernn._losses.targets import TARGET_LOSSES
from skaernn._training.solvers import SCHEDULES, SOLVERS
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


def _others(parameter, registry):
    """All entries but the default, which is the first choice."""
    default = RNNSequenceRegressor().get_params()[parameter]
    return [{}, *({parameter: name} for name in registry if name != default)]


# What the network is.
NETWORK = {
    "cell": [*({"cell": cell} for cell in CELLS), {"cell": "rnn", "activation": "relu"}],
    "output": [*_others("pooling", POOLINGS), {"return_sequences": True}],
    "depth": [{}, {"n_layers": 2}],
    "direction": [{}, {"bidirectional": True}],
    "skip": [{}, {"input_skip": False}],
    "path": [{}, {"linear_path": False}, {"linear_path": "pooled"}],
}

# How it is trained.
COURSE = {
    "solver": _others("solver", SOLVERS),
    "schedule": _others("schedule", SCHEDULES),
    "batches": [{}, {"batch_size": 7}, {"shuffle": False}],
    "stopping": [{}, {"early_stopping": True}],
    "dropout": [{}, {"dropout": 0.3}],
    "alpha": [{}, {"alpha": 0.1}],
    "decay": [{}, {"weight_decay": 0}, {"weight_decay": 3.0}],
    "clipping": [{}, {"max_grad_norm": None}],
    "members": [{}, {"n_members": 2}],
}
NUMBERS = {
    "dtype": [{}, {"dtype": "float32"}, {"dtype": "float64"}],
    "scaling": [{}, {"scaling": None}],
}

# What it answers, and what it loses by: of regressors, and of classifiers.
REGRESSIONS = [
    *_others("loss", TARGET_LOSSES),
    {"loss": "quantile", "quantile": 0.9},
    *_others("output_activation", ACTIVATIONS)[1:],
]
WEIGHTS = [
    {},
    {"class_weight": "balanced"},
    {"class_weight": dict(zip(LABELS.tolist(), [1.0, 2.0, 0.5], strict=True))},
]
# Settings without a meaning for the other of the two estimators.
ANSWERS = {"classifier": [False, True], "regression": REGRESSIONS, "weights": WEIGHTS}


def together(row):
    """Whether an estimator takes these settings, some factors being open."""
    if row.get("regression") and (row.get("classifier") or row.get("weights")):
        return False
    if row.get("weights") and row.get("classifier") is False:
        return False
    if row.get("path") == {"linear_path": "pooled"} and (
        row.get("skip") or "output_activation" in (row.get("regression") or {})
    ):
        return False
    # a line search needs the same loss throughout, and no validation set
    searches = row.get("solver") == {"solver": "lbfgs"}
    return not (searches and (row.get("stopping") or row.get("dropout")))


def variants(most=None, **factors):
    """One variant a row of a covering array: every two choices meet somewhere."""
    for row in all_pairs(factors, together, most):
        classifier = row.pop("classifier", False)
        yield Variant(classifier, _merged(row.values()))


def _merged(parts):
    return {name: value for part in parts for name, value in part.items()}


def parametrized(variants):
    return pytest.mark.parametrize("variant", variants, ids=str)


# The cells alone, for what does not depend on more.
PLAIN = [Variant(False, {"cell": cell}) for cell in CELLS]

# Networks, whose passes and steps differ; the classifier shares them.
STRUCTURES = list(variants(**NETWORK))

# What trains in a way of its own: for what a loss or a pooling cannot change.
_FEW_ANSWERS = {"classifier": [False, True], "weights": WEIGHTS}
COURSES = list(variants(**COURSE, **_FEW_ANSWERS, cell=NETWORK["cell"][: len(CELLS)]))

# Everything. Losses and output activations are many, and each is there, but not with all cells.
_MOST = len(NETWORK["cell"]) * len(NETWORK["output"])
VARIANTS = list(variants(**NETWORK, **COURSE, **NUMBERS, **ANSWERS, most=_MOST))

# The same, all rows in one batch.
_IN_ONE_BATCH = {name: choices for name, choices in COURSE.items() if name != "batches"}
ONE_BATCH = list(variants(**NETWORK, **_IN_ONE_BATCH, **NUMBERS, **ANSWERS, most=_MOST))

# What contradicts one or another check by nature.
ALL_VARIANTS = [
    *VARIANTS,
    Variant(False, {"warm_start": True}),
    Variant(False, {"batch_size": 7, "shuffle": False}),
]

# Every setting somewhere, no matter beside which other: for what one setting alone can break.
EACH_SETTING = each_choice(ALL_VARIANTS, lambda v: {**v.params, "classifier": v.classifier})


def _structures():
    """Every two of cell, depth, direction and pooling, of classifiers, which learn quickest.

    The first of them take one more setting along. Pairs suffice: each of the four is a part of
    its own in the network, and the checks see no more of it than what fit and predict do; that
    all of them give the right numbers together is tested by the oracles.
    """
    columns = {
        name: [c for c in NETWORK[name] if not {"return_sequences", "activation"} & c.keys()]
        for name in ("direction", "depth", "output", "cell")
    }
    structures = [_merged(row.values()) for row in all_pairs(columns)]
    settings = [{}, {"class_weight": "balanced"}, *({"solver": "lbfgs", **s} for s in _SCHEDULES)]
    settings += [COURSE[name][1] for name in ("stopping", "dropout", "clipping")]
    settings += [{"input_skip": False}, {"dtype": "float32"}, {"scaling": None}]
    for structure, setting in zip_longest(structures, settings, fillvalue={}):
        yield Variant(True, {**structure, **setting})


def _answers():
    """Every answer, solver, direction, depth and pooling of regressors, in the quickest cell.

    Each is there, two to a variant: an answer, and how the network before it is built or trained.
    """
    beside = [{**a, **b} for a in _SCHEDULES for b in COURSE["solver"]]
    beside += [*NETWORK["direction"][1:], *NETWORK["depth"][1:]]
    # beside outputs that are flat somewhere, what leaves the network as quick a learner as it is
    beside += [{"alpha": 0.1}, {"max_grad_norm": None}, {"dtype": "float64"}]
    beside += [output for output in NETWORK["output"][:0:-1] if "pooling" in output]
    # a high quantile is far from the mean, by which one of the checks judges
    answers = [a for a in REGRESSIONS if "quantile" not in a]
    for answer, other in zip_longest(answers, beside, fillvalue={}):
        yield Variant(False, {"cell": "rnn", **answer, **other})


_SCHEDULES = COURSE["schedule"]

# What scikit-learn's checks are run on. One output a step cannot be among these: their y is one
# number a sequence.
CHECKED = [
    *_structures(),
    *_answers(),
    *(Variant(False, cell) for cell in NETWORK["cell"][1:]),
    *(Variant(classifier, {"cell": "rnn", "n_members": 2}) for classifier in (False, True)),
]
