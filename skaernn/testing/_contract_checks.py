"""Contracts of an estimator of tables: one function each, which raises AssertionError.

A check that does not apply to an estimator raises `unittest.SkipTest` with the reason. The order
is that of causes: what would make later checks fail comes first.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import os
import pickle
import random
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any
from unittest import SkipTest

import joblib
import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted

METHODS = ("predict", "predict_proba", "decision_function", "transform")
RATES = ("learning_rate", "learning_rate_init", "lr", "eta0")
_N, _N_FEATURES, _N_CLASSES = 60, 6, 3


def fail(message: str) -> None:
    """An assertion that python -O keeps."""
    raise AssertionError(message)


class Subject:
    """An estimator under test, with a table for it.

    Parameters
    ----------
    estimator : estimator
        Cloned for every fit; parameters `random_state` become 0.
    rtol : float
        How much answers of two fits may differ, relative to the largest.
    """

    def __init__(self, estimator: Any, rtol: float):
        self.rtol = rtol
        seeds = [name for name in estimator.get_params() if name.endswith("random_state")]
        self.seeded = bool(seeds)
        self.estimator = clone(estimator).set_params(**dict.fromkeys(seeds, 0))
        self.supervised = is_classifier(estimator) or is_regressor(estimator)
        if not self.supervised and not hasattr(estimator, "transform"):
            raise TypeError(f"{estimator!r} is no regressor, classifier or transformer.")
        rng = np.random.default_rng(0)
        codes = rng.normal(size=(_N, 3))
        noise = rng.normal(size=(_N, _N_FEATURES))
        self.X = codes @ rng.normal(size=(3, _N_FEATURES)) + noise / 5
        self.y: np.ndarray | None = None
        if self.supervised:
            self.y = codes[:, 0] + np.tanh(codes[:, 1]) + noise[:, 0] / 10
        if is_classifier(estimator):
            ranks = np.argsort(np.argsort(self.y))
            self.y = ranks * _N_CLASSES // _N

    def fit(
        self, rows: Any = slice(None), *, model: Any = None, X: Any = None, **more: Any
    ) -> Any:
        """A new estimator, or `model`, fitted to rows of the table, or of X."""
        model = clone(self.estimator) if model is None else model
        table = (self.X if X is None else X)[rows]
        arguments = (table, self.y[rows]) if self.y is not None else (table,)
        return model.fit(*arguments, **more)

    def answers(self, model: Any, X: Any) -> dict[str, np.ndarray]:
        """What each method says of X."""
        there = [method for method in METHODS if hasattr(model, method)]
        return {method: np.asarray(getattr(model, method)(X)) for method in there}

    @cached_property
    def model(self) -> Any:
        """Fitted to the table; not to be changed."""
        return self.fit()

    @cached_property
    def expected(self) -> dict[str, np.ndarray]:
        """Its answers."""
        return self.answers(self.model, self.X)

    def same(self, found: dict, expected: dict, where: str) -> None:
        """The same bits."""
        for method, answer in expected.items():
            if found[method].shape != answer.shape or not (found[method] == answer).all():
                fail(f"{method} differs {where}{_by_how_much(found[method], answer)}.")

    def close(self, found: dict, expected: dict, where: str) -> None:
        """Equal labels, and numbers that differ by no more than rounding."""
        for method, answer in expected.items():
            if answer.dtype.kind not in "fc":
                continue  # of labels, the scores behind them tell
            atol = self.rtol * np.abs(answer).max()
            if not np.allclose(found[method], answer, rtol=self.rtol, atol=atol):
                fail(f"{method} differs {where}{_by_how_much(found[method], answer)}.")


def _by_how_much(found: np.ndarray, expected: np.ndarray) -> str:
    if found.shape != expected.shape:
        return f": shape {found.shape}, expected {expected.shape}"
    if expected.dtype.kind not in "fiu":
        return f" in {int((found != expected).sum())} answers"
    difference = np.abs(np.subtract(found, expected, dtype=np.float64))
    return f", by up to {difference.max():.2g}"


def check_same_seed_same_bits(subject: Subject) -> None:
    """Two fits with one seed, and a fit after a fit, are the same to the last bit."""
    subject.same(subject.answers(subject.fit(), subject.X), subject.expected, "in a second fit")
    again = subject.fit(model=copy.deepcopy(subject.model))
    if not subject.estimator.get_params().get("warm_start", False):
        subject.same(subject.answers(again, subject.X), subject.expected, "in a fit after a fit")


def check_global_generators(subject: Subject) -> None:
    """With a seed of its own, it neither draws from global generators nor seeds them."""
    if not subject.seeded:
        raise SkipTest("There is no parameter random_state.")
    kept = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:  # from states that no seed leads to at once
        random.random()
        np.random.random(3)  # noqa: NPY002
        before = _generators()
        subject.answers(subject.fit(), subject.X)
        changed = [name for name, state in _generators().items() if state != before[name]]
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
    if changed:
        fail(f"The global generators of {', '.join(changed)} were drawn from or seeded.")


def _generators() -> dict[str, bytes]:
    legacy = np.random.get_state()  # noqa: NPY002 - that is what is looked at
    found = {"numpy": pickle.dumps(legacy), "python": pickle.dumps(random.getstate())}
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = bytes(torch.get_rng_state().numpy())
    return found


def check_row_order(subject: Subject) -> None:
    """The order of the rows does not matter to `fit`."""
    order = np.random.default_rng(1).permutation(_N)
    found = subject.answers(subject.fit(order), subject.X)
    subject.close(found, subject.expected, "where rows are in another order")


def _needs_weights(subject: Subject) -> None:
    if "sample_weight" not in inspect.signature(subject.estimator.fit).parameters:
        raise SkipTest("fit has no sample_weight.")


def check_weights_are_repetition(subject: Subject) -> None:
    """A row of weight k is k rows."""
    _needs_weights(subject)
    weight = np.random.default_rng(2).integers(1, 4, _N)
    found = subject.answers(subject.fit(sample_weight=weight.astype(float)), subject.X)
    repeated = subject.answers(subject.fit(np.repeat(np.arange(_N), weight)), subject.X)
    subject.close(found, repeated, "where rows are weighted, not repeated")


def check_weight_zero_is_absence(subject: Subject) -> None:
    """A row of weight zero is not there."""
    _needs_weights(subject)
    weight = (np.arange(_N) % 4 > 0).astype(float)
    found = subject.answers(subject.fit(sample_weight=weight), subject.X)
    absent = subject.answers(subject.fit(np.flatnonzero(weight)), subject.X)
    subject.close(found, absent, "where rows have weight zero, and are not left out")


def check_batch_mates(subject: Subject) -> None:
    """A row's answer does not depend on the rows beside it, to the last bit."""
    for size in (1, 2, 7):
        parts = [subject.answers(subject.model, subject.X[i : i + size])
                 for i in range(0, _N, size)]  # fmt: skip
        found = {method: np.concatenate([part[method] for part in parts]) for method in parts[0]}
        subject.same(found, subject.expected, f"in batches of {size}")
    many = np.tile(subject.X, (20, 1))
    found = {m: answer[:_N] for m, answer in subject.answers(subject.model, many).items()}
    subject.same(found, subject.expected, f"in a batch of {len(many)}")


def check_dtype(subject: Subject) -> None:
    """Answers that are floats have the type of X."""
    for dtype in (np.float32, np.float64):
        X = subject.X.astype(dtype)
        for method, answer in subject.answers(subject.fit(X=X), X).items():
            if answer.dtype.kind == "f" and answer.dtype != dtype:
                fail(f"{method} of {np.dtype(dtype)} gives {answer.dtype}.")


def check_layouts(subject: Subject) -> None:
    """Fortran order, read-only memory, strides: the same answers."""
    read_only = subject.X.copy()
    read_only.flags.writeable = False
    wide = np.empty((_N, 2 * _N_FEATURES))
    wide[:, ::2] = subject.X
    layouts = {
        "in Fortran order": np.asfortranarray(subject.X),
        "in read-only memory": read_only,
        "in every other column": wide[:, ::2],
        "backwards in memory": np.ascontiguousarray(subject.X[::-1])[::-1],
    }
    for where, X in layouts.items():
        subject.same(subject.answers(subject.model, X), subject.expected, f"for X {where}")
        subject.same(
            subject.answers(subject.fit(X=X), subject.X), subject.expected, f"after fit, X {where}"
        )


def check_inputs_unchanged(subject: Subject) -> None:
    """Nothing is written into X, y or weights."""
    X, weight = subject.X.copy(), np.ones(_N)
    y = None if subject.y is None else subject.y.copy()
    more = {}
    with contextlib.suppress(SkipTest):
        _needs_weights(subject)
        more["sample_weight"] = weight
    arguments = (X,) if y is None else (X, y)
    subject.answers(clone(subject.estimator).fit(*arguments, **more), X)
    if (X != subject.X).any() or (y is not None and (y != subject.y).any()) or (weight != 1).any():
        fail("fit, or an answer, wrote into X, y or sample_weight.")


def check_prediction_changes_nothing(subject: Subject) -> None:
    """The fitted estimator is what it was after an answer."""
    model = subject.fit()
    before = _contents(model)
    subject.answers(model, subject.X[:7])
    after = _contents(model)
    changed = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
    if changed:
        fail(f"Attributes changed while it answered: {', '.join(changed)}.")


def _contents(model: Any) -> dict[str, str]:
    state = model.__getstate__() if hasattr(model, "__getstate__") else vars(model)
    return {name: joblib.hash(pickle.dumps(value)) for name, value in dict(state).items()}


def check_silence(subject: Subject) -> None:
    """Nothing is printed, warned of but convergence, or written where it works."""
    files, out = set(os.listdir()), io.StringIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            subject.answers(subject.fit(), subject.X)
    if out.getvalue():
        fail(f"It prints: {out.getvalue()[:80]!r}.")
    other = [w.message for w in caught if not issubclass(w.category, ConvergenceWarning)]
    if other:
        fail(f"It warns: {other[0]}")
    if set(os.listdir()) - files:
        fail(f"It leaves files behind: {sorted(set(os.listdir()) - files)}.")


def check_threads(subject: Subject) -> None:
    """Eight threads at once get the same bits."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: subject.answers(subject.model, subject.X), range(24)))
    for answers in found:
        subject.same(answers, subject.expected, "where threads ask at once")


def check_divergence(subject: Subject) -> None:
    """Whatever the learning rate: no exception, finite answers, nothing ruined without a word."""
    params = subject.estimator.get_params()
    names = [n for n in params if n.rpartition("__")[2] in RATES and isinstance(params[n], float)]
    if not names:
        raise SkipTest(f"There is no parameter {', '.join(RATES)} that is a float.")
    for rate in (10.0, 1e4, 1e8):
        model = clone(subject.estimator).set_params(**dict.fromkeys(names, rate))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            subject.fit(model=model)
            answers = subject.answers(model, subject.X)
        for method, answer in answers.items():
            if answer.dtype.kind == "f" and not np.isfinite(answer).all():
                fail(f"{method} is not finite with {names[0]}={rate:g}.")
        if subject.supervised and not caught and _is_garbage(subject, answers["predict"]):
            fail(
                f"predict is worse than any constant with {names[0]}={rate:g}, without a warning."
            )


def _is_garbage(subject: Subject, answer: np.ndarray) -> bool:
    """Clearly worse than a constant, on the rows that were learnt."""
    if is_classifier(subject.estimator):
        return bool((answer == subject.y).mean() < 1 / _N_CLASSES - 0.2)
    spread = np.square(subject.y - np.mean(subject.y)).mean()
    return bool(np.square(answer.reshape(_N) - subject.y).mean() > 2 * spread)


def check_failed_fit(subject: Subject) -> None:
    """A fit that is refused leaves no model, and an earlier one as it was."""
    bad = np.where(np.arange(_N)[:, None] == 3, np.inf, subject.X)
    new, old = clone(subject.estimator), subject.fit()
    for model in (new, old):
        try:
            subject.fit(model=model, X=bad)
        except Exception:
            continue
        raise SkipTest("fit takes infinite numbers.")
    try:
        check_is_fitted(new)
    except NotFittedError:
        pass
    else:
        fail("After a fit that raised, the estimator takes itself for fitted.")
    subject.same(subject.answers(old, subject.X), subject.expected, "after a fit that raised")


def check_refuses_nan(subject: Subject) -> None:
    """NaN is refused by an answer as it is by `fit`."""
    bad = subject.X.copy()
    bad[3, 0] = np.nan
    if _refuses(lambda: subject.fit(X=bad)):
        for method in subject.expected:
            if not _refuses(lambda method=method: getattr(subject.model, method)(bad)):
                fail(f"fit refuses NaN, {method} does not.")
    else:
        raise SkipTest("fit takes NaN.")


def check_refuses_other_width(subject: Subject) -> None:
    """Another number of features than in `fit` is a ValueError."""
    for X in (subject.X[:, 1:], np.c_[subject.X, subject.X[:, :1]]):
        for method in subject.expected:
            if not _refuses(lambda X=X, method=method: getattr(subject.model, method)(X)):
                fail(f"{method} takes {X.shape[1]} features after a fit of {_N_FEATURES}.")


def _refuses(function: Any) -> bool:
    try:
        function()
    except ValueError:
        return True
    return False


def check_copies(subject: Subject) -> None:
    """pickle, joblib and deepcopy give the same model."""
    file = io.BytesIO()
    joblib.dump(subject.model, file)
    file.seek(0)
    copies = {
        "pickle": pickle.loads(pickle.dumps(subject.model)),
        "joblib": joblib.load(file),
        "deepcopy": copy.deepcopy(subject.model),
    }
    for how, model in copies.items():
        subject.same(subject.answers(model, subject.X), subject.expected, f"after {how}")


def check_clone(subject: Subject) -> None:
    """A clone of a fitted estimator is not fitted, and learns the same."""
    copied = clone(subject.model)
    if copied.get_params().keys() != subject.model.get_params().keys():
        fail("A clone has other parameters.")
    fitted = [name for name in vars(copied) if name.endswith("_") and not name.startswith("_")]
    if fitted:
        fail(f"A clone has fitted attributes: {', '.join(fitted)}.")
    found = subject.answers(subject.fit(model=copied), subject.X)
    subject.same(found, subject.expected, "in a clone")


def check_joblib_hash(subject: Subject) -> None:
    """The hash of a model, by which joblib caches, is that of its copy, and stays."""
    before = joblib.hash(subject.model)
    subject.answers(subject.model, subject.X)
    after = joblib.hash(subject.model), joblib.hash(pickle.loads(pickle.dumps(subject.model)))
    if after != (before, before):
        fail("joblib.hash changes with an answer, or in a copy.")


CHECKS = [
    check_same_seed_same_bits,
    check_global_generators,
    check_row_order,
    check_weights_are_repetition,
    check_weight_zero_is_absence,
    check_batch_mates,
    check_dtype,
    check_layouts,
    check_inputs_unchanged,
    check_prediction_changes_nothing,
    check_silence,
    check_threads,
    check_divergence,
    check_failed_fit,
    check_refuses_nan,
    check_refuses_other_width,
    check_copies,
    check_clone,
    check_joblib_hash,
]
