"""Every variant of the estimators, generated from the registries themselves.

A new entry of a registry is tested by the common checks and the contracts without a new line here.
"""

import pytest

from skaernn import AutoencoderTransformer
from skaernn._losses import LOSSES
from skaernn._solvers import SCHEDULES, SOLVERS
from skaernn.networks import ACTIVATIONS

# Small and quick. Without a tolerance no plateau is waited for, so that three epochs are no
# ConvergenceWarning under any schedule.
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 3, "tol": 0, "random_state": 0}


def choices(parameter):
    """The names that the constraints of `parameter` allow."""
    constraints = AutoencoderTransformer._parameter_constraints[parameter]
    return sorted(name for c in constraints for name in getattr(c, "options", ()))


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


def _id(params):
    return "-".join(f"{name}={value}" for name, value in params.items()) or "default"


def _params(variants):
    return [pytest.param(params, id=_id(params)) for params in variants]


VARIANTS = _params([{}, *_registries(), *_switches()])

# What scikit-learn's checks contradict by nature: they fit twice and expect the same, and they
# shuffle rows whose order `shuffle=False` with several batches is there to keep.
ALL_VARIANTS = VARIANTS + _params([{"warm_start": True}, {"batch_size": 7, "shuffle": False}])


def make(params=None, **more):
    """A small estimator with `params`."""
    return AutoencoderTransformer(**{**SMALL, **(params or {}), **more})
