"""Ways to copy an estimator, and what its state consists of."""

import copy
import pickle

import joblib
from sklearn.base import BaseEstimator


def through_joblib(estimator, path):
    joblib.dump(estimator, path)
    return joblib.load(path)


def through_memory_map(estimator, path):
    joblib.dump(estimator, path)
    return joblib.load(path, mmap_mode="r")


COPIES = {
    "pickle": lambda estimator, path: pickle.loads(pickle.dumps(estimator)),
    "deepcopy": lambda estimator, path: copy.deepcopy(estimator),
    "joblib": through_joblib,
    "memory map": through_memory_map,
}


def leaves(value):
    """All that a state is made of."""
    if isinstance(value, dict):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part)
    elif isinstance(value, BaseEstimator):
        yield from leaves(value.__getstate__())
    else:
        yield value
