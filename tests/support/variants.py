"""Every variant of the autoencoders of vectors, generated from the registries themselves.

A new entry of a registry is tested by the common checks and the contracts without a new line here.
"""

import pytest
from own_networks import small, twice, with_state
from pairwise import all_pairs, each_choice

from skaernn import AutoencoderTransformer, VariationalAutoencoderTransformer
from skaernn._estimators.fitting import check_solver
from skaernn._losses.likelihoods import LIKELIHOODS
from skaernn._losses.reconstruction import LOSSES
from skaernn._training.solvers import SCHEDULES, SOLVERS
from skaernn.networks import ACTIVATIONS, ARCHITECTURES, CORRUPTIONS, PENALTIES

# Small and quick. Without a tolerance no plateau is waited for, so that three epochs are no
# ConvergenceWarning under any schedule.
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 3, "tol": 0, "random_state": 0}
VARIATIONAL = {"estimator": VariationalAutoencoderTransformer}


def choices(parameter):
    """The names that the constraints of `parameter` allow."""
    constraints = AutoencoderTransformer._parameter_constraints[parameter]
    return sorted(name for c in constraints for name in getattr(c, "options", ()))


def penalised(name):
    """A penalty, with the activation that it needs."""
    wanted = PENALTIES[name].code_activation
    return {"code_penalty": name, **({} if wanted is None else {"code_activation": wanted})}


def _registries():
    for name in ACTIVATIONS:
        yield {"activation": name}
        yield {"code_activation": name}
        yield {"output_activation": name}
    for name in ("code_activation", "output_activation"):
        yield {name: "tanh", "linear_path": True}
    for name in LOSSES:
        yield {"loss": name}
        yield {"loss": name, "linear_path": False}
    for name in SOLVERS:
        for schedule in SCHEDULES:
            yield {"solver": name, "schedule": schedule}
    for name in choices("scaling"):
        yield {"scaling": name}
    yield {"scaling": None}
    for name in choices("dtype"):
        yield {"dtype": name}
    for name in PENALTIES:
        yield penalised(name)
    for name in CORRUPTIONS:
        yield {"corruption": name}
    for name in sorted(set(ARCHITECTURES) - {"dense"}):
        yield {"architecture": name, "hidden_layer_sizes": (3,)}
        yield {"architecture": name, "hidden_layer_sizes": (3, 2), "linear_path": True}
        yield {"architecture": name, "hidden_layer_sizes": (3,), "tied_weights": True}
        yield {**VARIATIONAL, "architecture": name, "hidden_layer_sizes": (3,)}
    for name in LIKELIHOODS:
        yield {**VARIATIONAL, "loss": name}


def _switches():
    yield {"linear_path": False}
    yield {"linear_path": True, "hidden_layer_sizes": ()}
    yield {"linear_path": False, "hidden_layer_sizes": ()}
    yield {"hidden_layer_sizes": (6, 4)}
    yield {"n_components": 0.5}
    yield {"n_components": 7}
    yield {"alpha": 0.0}
    yield {"batch_size": 7}
    yield {"shuffle": False}
    yield {"dropout": 0.3}
    yield {"dropout": 0.3, "batch_size": 7, "solver": "sgd"}
    yield {"early_stopping": True}
    yield {"early_stopping": True, "dropout": 0.3, "linear_path": False}
    yield {"schedule": "constant", "max_iter": 20, "tol": 2.0, "n_iter_no_change": 1}
    yield {"tied_weights": True}
    yield {"tied_weights": True, "linear_path": False, "hidden_layer_sizes": (6, 4)}
    yield {"architecture": small}
    yield {"architecture": with_state, "batch_size": 7}
    yield {**VARIATIONAL, "architecture": twice}
    yield {**VARIATIONAL, "linear_path": False}
    yield {**VARIATIONAL, "hidden_layer_sizes": (), "kl_weight": 0.0}


FACTORS = {
    "architecture": ["dense", small, *sorted(set(ARCHITECTURES) - {"dense"})],
    "code_penalty": [None, *PENALTIES],
    "corruption": [None, *CORRUPTIONS],
    "loss": list(LOSSES),
    "solver": list(SOLVERS),
    "linear_path": ["auto", True, False],
    "tied_weights": [False, True],
    "scaling": ["auto", "standard", None],
    "hidden_layer_sizes": [(3,), (), (4, 3)],
    "batch_size": ["auto", 7],
    "dropout": [0.0, 0.3],
    "early_stopping": [False, True],
    "n_components": [2, 7, 0.5],
    "activation": list(ACTIVATIONS),
    "code_activation": ["identity", *sorted(set(ACTIVATIONS) - {"identity"})],
    "output_activation": ["auto", *ACTIVATIONS],
}
VARIATIONAL_FACTORS = {
    "architecture": ["dense", twice, *sorted(set(ARCHITECTURES) - {"dense"})],
    "loss": list(LIKELIHOODS),
    "linear_path": ["auto", True, False],
    "scaling": ["auto", "standard", None],
    "hidden_layer_sizes": [(3,), (), (4, 3)],
    "batch_size": ["auto", 7],
    "dropout": [0.0, 0.3],
    "early_stopping": [False, True],
    "kl_weight": [1.0, 0.0, 4.0],
}


def _accepted(estimator):
    """Whether settings make sense together, by the estimator's own word."""

    def together(row):
        model = estimator(**row)
        try:
            check_solver(model, model._plan())
        except ValueError:
            return False
        return True

    return together


def _all_pairs():
    yield from all_pairs(FACTORS, _accepted(AutoencoderTransformer), most=20)
    for row in all_pairs(VARIATIONAL_FACTORS, _accepted(VariationalAutoencoderTransformer)):
        yield {**VARIATIONAL, **row}


def _id(params):
    """Settings other than the first of their factor."""
    usual = {name: choices[0] for name, choices in FACTORS.items()} | {"loss": None}
    named = {
        name: getattr(value, "__name__", value)
        for name, value in params.items()
        if name not in usual or value != usual[name]
    }
    return "-".join(f"{name}={value}" for name, value in named.items()) or "default"


def _params(variants):
    return [pytest.param(params, id=_id(params)) for params in variants]


VARIANTS = _params([{}, *_registries(), *_switches()])

# Every two settings that make sense together, for the contracts; and what scikit-learn's checks
# contradict by nature: they fit twice and expect the same, and they shuffle rows whose order
# `shuffle=False` with several batches is there to keep.
PAIRS = _params([{}, *_all_pairs()])
ALL_VARIANTS = PAIRS + _params([{"warm_start": True}, {"batch_size": 7, "shuffle": False}])

# Every setting somewhere, no matter beside which other: for what one setting alone can break.
EACH_SETTING = each_choice(ALL_VARIANTS, lambda variant: variant.values[0])

# Those that train in a way of their own, for what an activation, a loss or a scaling cannot
# change: when a callback is called, what is left of a fit that was broken off.
_COURSE = {"solver", "schedule", "early_stopping", "batch_size", "dropout", "dtype"}
_COURSE |= {"architecture"}
COURSES = [*(v for v in VARIANTS if v.values[0].keys() & _COURSE), *ALL_VARIANTS[-2:]]


# What scikit-learn's checks are run on: all ways of training, each alone, and every other setting
# in few estimators. The checks see fits and answers; of two settings that disagree the contracts
# tell more.
CHECKED = [*(v for v in COURSES if v in VARIANTS), *each_choice(PAIRS, lambda v: v.values[0])]
CHECKED += _params([{"alpha": 0.0}, {"linear_path": False, "hidden_layer_sizes": ()}])


def make(params=None, **more):
    """A small estimator with `params`."""
    given = {**SMALL, **(params or {}), **more}
    return given.pop("estimator", AutoencoderTransformer)(**given)
