"""Small fits of every kind, and digests of every bit that comes of them.

For changes that must not change a bit: what moves code, renames it or wires it another way.
`bits.json`, and `bits_compiled.json` where answers come from compiled kernels, hold the digests,
and what they belong to: another version of torch, another kind of
processor or another number of threads may round another way, and that is no mistake.

    python tests/support/bits.py            says which digests differ
    python tests/support/bits.py --add      writes down cases that are new, and only those
    python tests/support/bits.py --write    writes down all of them again

`--write` is for a change that is meant to change bits: a mended mistake, a faster pass that sums
in another order, a new version of torch. Its commit says which cases changed, and why these and
no others. It is never the way to make a test pass.

Names in the cases are written out, not read from the registries, so that a digest belongs to one
fit for good. Left out is "gelu" in float32, which was wrong when they were written down.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from skaernn import (
    AutoencoderTransformer,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    SequenceAutoencoderTransformer,
    VariationalAutoencoderTransformer,
    sliding_windows,
)
from skaernn._native.library import kernels

KERNELS = kernels()
# of compiled kernels, which give other bits than torch, and the same with all wide vectors
RECORD = Path(__file__).with_name("bits.json" if KERNELS == "torch" else "bits_compiled.json")
FLOAT32, FLOAT64 = ("float32",), ("float64",)
BOTH = FLOAT32 + FLOAT64
LABELS = np.array(["high", "low", "mid"])

# Without a tolerance no plateau is waited for: three epochs are no ConvergenceWarning then.
SHORT = {"max_iter": 3, "tol": 0, "random_state": 0}


# What the bits belong to.


def circumstances() -> dict[str, str | int]:
    """All that bits may depend on beside our own code."""
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "kernels": "fused" if KERNELS in ("avx2", "avx512") else KERNELS,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def digest(value) -> str:
    """Of type, shape and bytes: of an array, a list of them, numbers, or None."""
    state = hashlib.sha256()
    _feed(state, value)
    return state.hexdigest()[:16]


def _feed(state, value) -> None:
    if isinstance(value, dict):  # in an order of its own
        for name in sorted(value):
            state.update(f"{name}:".encode())
            _feed(state, value[name])
        return
    array = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    state.update(f"{array.dtype.str}{array.shape}".encode())
    if array.dtype == object:  # ragged answers, or None
        for part in array.ravel():
            if part is not None:
                _feed(state, part)
    else:
        state.update(array.tobytes())


# Data: by generators, and without functions that numpy computes one way here and another there.


def _table(n=40, n_features=12, seed=0) -> np.ndarray:
    """Rows with two directions that matter, in columns of unequal units."""
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=(2, n, 1))
    u, v = generator.normal(size=(2, 1, n_features))
    units = np.linspace(0.5, 2, n_features)
    return units * (a * u + 0.5 * b * v + 0.25 * generator.normal(size=(n, n_features)) + 1)


def _shares(n=40, n_features=12, seed=0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return 0.5 * (generator.random((n, 1)) + generator.random((n, n_features)))


def _counts(n=40, n_features=12, seed=0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 1 + generator.integers(1, 6, (n, 1)), (n, n_features)).astype(
        float
    )


TABLES = {"binary_cross_entropy": _shares, "poisson": _counts}


def _weighted(data: dict) -> dict:
    """`data`, some of it twice, with weights that are whole, broken and zero."""
    for values in data.values():
        values[5:8] = values[:3]
    return {**data, "sample_weight": np.resize([1, 2, 0, 0.5, 1, 3, 0.25], len(data["X"]))}


def _lengths(n: int, longest: int, shortest=1, seed=0) -> np.ndarray:
    lengths = np.random.default_rng(seed).integers(shortest, longest + 1, n)
    lengths[:2] = longest, shortest
    return lengths


def _sequences(form: str, n=24, n_channels=2, longest=6, shortest=1, table=_table, seed=0) -> dict:
    """X, and lengths if it needs them: "list", "padded", "ended" (by NaN), "flat", "whole"."""
    steps = table(n * longest, n_channels, seed).reshape(n, longest, n_channels)
    lengths = _lengths(n, longest, shortest, seed)
    beyond = np.arange(longest) >= lengths[:, None]
    if form == "list":
        return {"X": [x[:length] for x, length in zip(steps, lengths, strict=True)]}
    if form == "padded":
        steps[beyond] = 7.5  # of no meaning, and seen at once if it had one
        return {"X": steps, "lengths": lengths}
    if form == "ended":
        steps[beyond] = np.nan
    return {"X": steps.reshape(n, -1) if form == "flat" else steps}


def _numbers(data: dict, n_outputs=None, table=_shares, per_step=False) -> dict:
    """`data` with a y that every loss takes."""
    X = data["X"]
    if per_step:
        y = [table(len(x), n_outputs or 1, 100 + i) for i, x in enumerate(X)]
        y = [part[:, 0] if n_outputs is None else part for part in y]
    else:
        y = table(len(X), n_outputs or 1, 100)
        y = y[:, 0] if n_outputs is None else y
    return {**data, "y": y if isinstance(X, list) or not per_step else np.stack(y)}


def _classes(data: dict, per_step=False) -> dict:
    """`data` with classes, of which all are there."""
    generator, X = np.random.default_rng(100), data["X"]
    if per_step:
        return {**data, "y": [LABELS[generator.integers(0, 3, len(x))] for x in X]}
    return {**data, "y": LABELS[np.r_[0:3, generator.integers(0, 3, len(X) - 3)]]}


def _typed(data: dict, dtype: str) -> dict:
    """The same numbers in another type."""

    def typed(value):
        if isinstance(value, list):
            return [typed(part) for part in value]
        return value.astype(dtype) if value.dtype == np.float64 else value

    return {name: typed(value) for name, value in data.items()}


# Courses: from an estimator and data to a fitted estimator.


def fit(model, data):
    return model.fit(**data)


def generated(model, data):
    """The seed drawn from a generator."""
    return model.set_params(random_state=np.random.RandomState(3)).fit(**data)


def halves(model, data, between=lambda model: model):
    """`partial_fit` twice, on one half and the other."""
    data = dict(data)
    classes = {"classes": LABELS} if isinstance(model, RNNSequenceClassifier) else {}
    n = len(data["X"]) // 2
    model.partial_fit(**{name: value[:n] for name, value in data.items()}, **classes)
    return between(model).partial_fit(**{name: value[n:] for name, value in data.items()})


def reloaded(model):
    return pickle.loads(pickle.dumps(model))


def fit_reloaded(model, data):
    return reloaded(model.fit(**data))


def fit_then_more(model, data):
    """A fit, pickled, and an epoch more."""
    return reloaded(model.fit(**data)).partial_fit(**data)


def halves_reloaded(model, data):
    return halves(model, data, between=reloaded)


def twice(model, data):
    """For `warm_start`."""
    return model.fit(**data).fit(**data)


def validated(model, data):
    """Early stopping on the last quarter, given by the caller."""
    n = 3 * len(data["X"]) // 4
    held_out = {f"{name}_val": value[n:] for name, value in data.items()}
    return model.fit(**{name: value[:n] for name, value in data.items()}, **held_out)


# Answers of a fitted estimator.

_LEFT = (
    "best_loss_", "best_validation_score_", "code_covariance_", "code_mean_",
    "explained_variance_ratio_", "loss_", "loss_curve_", "n_active_components_", "n_iter_",
    "noise_variance_", "t_", "validation_scores_",
)  # fmt: skip


def _left(model) -> dict:
    """What a fit leaves."""
    found = {name: getattr(model, name) for name in _LEFT if hasattr(model, name)}
    return {"weights": model.module_.state_dict(), **found}


def _of_module(model, *arrays) -> np.ndarray | list[np.ndarray]:
    """What the network says by itself."""
    with torch.no_grad():
        found = model.module_(*(torch.from_numpy(np.asarray(array)) for array in arrays))
    return [part.numpy() for part in found] if isinstance(found, tuple) else found.numpy()


def of_rows(model, data) -> dict:
    X, codes = data["X"], model.transform(data["X"])
    found = {
        "transform": codes,
        "inverse_transform": model.inverse_transform(codes),
        "reconstruction_error": model.reconstruction_error(X),
        "score_samples": model.score_samples(X),
        "score": model.score(X, sample_weight=data.get("sample_weight")),
        "sample": model.sample(5, random_state=0),
        "module_": _of_module(model, X.astype(str(model.module_.dtype).removeprefix("torch."))),
    }
    if isinstance(model, VariationalAutoencoderTransformer):
        found["score_samples(3)"] = model.score_samples(X, 3)
    return found


def of_codes(model, data) -> dict:
    asked = {name: data[name] for name in ("X", "lengths") if name in data}
    codes = model.transform(**asked)
    lengths = np.arange(len(codes)) % 4 + 1
    found = {
        "transform": codes,
        "inverse_transform": model.inverse_transform(codes, lengths=lengths),
        "reconstruction_error": model.reconstruction_error(**asked),
        "score_samples": model.score_samples(**asked),
        "score": model.score(**asked, sample_weight=data.get("sample_weight")),
        "sample": model.sample(3, random_state=0, lengths=[2, 5, 1]),
    }
    if model.n_steps_ is not None:
        found["inverse_transform()"] = model.inverse_transform(codes)
    return found


def of_sequences(model, data) -> dict:
    """Of a regressor or a classifier; of states where there are any."""
    asked = {name: data[name] for name in ("X", "lengths", "initial_state") if name in data}
    found = {"predict": model.predict(**asked)}
    found["score"] = model.score(**asked, y=data["y"], sample_weight=data.get("sample_weight"))
    if isinstance(model, RNNSequenceClassifier):
        found["predict_proba"] = model.predict_proba(**asked)
        found["predict_log_proba"] = model.predict_log_proba(**asked)
    elif model.loss == "gaussian":
        found["deviation"] = model.predict(**asked, return_std=True)[1]
    if not model.bidirectional:
        found["state"] = model.predict(**asked, return_state=True)[1]
        if isinstance(data["X"], list) and not model.return_sequences:
            # cut in two and taken up again, at a step in the middle that both may have
            states = model.predict([x[: (len(x) + 1) // 2] for x in data["X"]], return_state=True)
            rest = [x[len(x) // 2 :] for x in data["X"]]
            found["resumed"] = model.predict(rest, initial_state=states[1])
    return found


def _forecasts(model, data) -> dict:
    return {**of_sequences(model, data), "forecast": model.forecast(data["X"], 4, horizon=1)}


def _module_too(model, data) -> dict:
    lengths = data.get("lengths")
    how = (data["X"],) if lengths is None else (data["X"], lengths)
    answers = of_codes if isinstance(model, SequenceAutoencoderTransformer) else of_sequences
    return {**answers(model, data), "module_": _of_module(model, *how)}


# Networks as users bring them.


def small(n_features, n_components):
    encoder = nn.Sequential(nn.Linear(n_features, 6), nn.Tanh(), nn.Linear(6, n_components))
    return encoder, nn.Sequential(nn.Linear(n_components, 6), nn.Tanh(), nn.Linear(6, n_features))


def with_state(n_features, n_components):
    """Batch normalisation, whose buffers training changes, and dropout, which draws."""
    layers = nn.Linear(n_features, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2)
    return nn.Sequential(*layers, nn.Linear(6, n_components)), nn.Linear(n_components, n_features)


def means_and_variances(n_features, n_components):
    return small(n_features, 2 * n_components)[0], small(n_features, n_components)[1]


# Cases.

CASES: dict[str, Callable[[], dict]] = {}


def _run(estimator, params, data, answers, course, dtypes) -> dict:
    found = {}
    for dtype in dtypes:
        typed = _typed(data(), dtype)
        model = course(estimator(**params), typed)
        for name, value in {**_left(model), **answers(model, typed)}.items():
            found[f"{dtype} {name}"] = value
    return found


def _add(estimator, answers, name, data, course, dtypes, params) -> None:
    assert name not in CASES, name
    CASES[name] = partial(_run, estimator, {**SHORT, **params}, data, answers, course, dtypes)


def _vectors(name, course=fit, data=None, dtypes=BOTH, weighted=False, **params) -> None:
    params = {"hidden_layer_sizes": (8,), **params}
    table = data or TABLES.get(params.get("loss"), _table)

    def made():
        return _weighted({"X": table()}) if weighted else {"X": table()}

    variational = name.startswith("variational")
    kind = VariationalAutoencoderTransformer if variational else AutoencoderTransformer
    _add(kind, of_rows, name, made, course, dtypes, params)


def _codes(name, data=None, course=fit, dtypes=BOTH, answers=of_codes, **params) -> None:
    table = TABLES.get(params.get("loss"), _table)
    made = partial(_sequences, "list", table=table) if data is None else data
    params = {"hidden_size": 3, **params}
    _add(SequenceAutoencoderTransformer, answers, name, made, course, dtypes, params)


def _predictor(
    name, data=None, course=fit, dtypes=BOTH, answers=of_sequences, y=None, **params
) -> None:
    classifier = name.startswith("classifier")
    kind = RNNSequenceClassifier if classifier else RNNSequenceRegressor
    targets = _classes if classifier else _numbers

    def made():
        given = _sequences("list") if data is None else data()
        if "y" in given:
            return given
        return targets(given, **(y or {}), per_step=params.get("return_sequences", False))

    _add(kind, answers, name, made, course, dtypes, {"hidden_size": 4, **params})


def _autoencoders() -> None:
    _vectors("autoencoder")
    _vectors("autoencoder-float64-of-float32", dtype="float64", dtypes=FLOAT32)
    _vectors("autoencoder-float32-of-float64", dtype="float32", dtypes=FLOAT64)
    for name in ("identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu"):
        _vectors(
            f"autoencoder-{name}",
            activation=name,
            code_activation=name,
            output_activation=name,
            dtypes=FLOAT64,
        )
        _vectors(
            f"autoencoder-{name}-path",
            activation=name,
            code_activation=name,
            output_activation=name,
            linear_path=True,
            hidden_layer_sizes=(6, 4),
            dtypes=FLOAT32,
        )
    for path in (False, True):
        _vectors(
            f"autoencoder-gelu{'-path' * path}",
            activation="gelu",
            code_activation="gelu",
            output_activation="gelu",
            linear_path=path,
            hidden_layer_sizes=(6, 4),
            dtypes=FLOAT64,
        )
    for loss in ("absolute_error", "huber", "binary_cross_entropy", "poisson"):
        _vectors(f"autoencoder-{loss}", loss=loss)
    _vectors(
        "autoencoder-huber-no-path", loss="huber", linear_path=False, batch_size=7, dtypes=FLOAT32
    )
    _vectors("autoencoder-l1-gaussian", code_penalty="l1", corruption="gaussian", batch_size=7)
    _vectors(
        "autoencoder-kl-masking",
        code_penalty="kl",
        code_activation="logistic",
        corruption="masking",
        penalty_strength=0.1,
    )
    _vectors(
        "autoencoder-contractive-salt_and_pepper",
        code_penalty="contractive",
        corruption="salt_and_pepper",
        activation="tanh",
        penalty_strength=0.1,
    )
    _vectors(
        "autoencoder-contractive-deep",
        code_penalty="contractive",
        activation="elu",
        code_activation="tanh",
        hidden_layer_sizes=(6, 4),
        linear_path=True,
        dtypes=FLOAT32,
    )
    _vectors("autoencoder-tied", tied_weights=True)
    _vectors(
        "autoencoder-tied-deep",
        tied_weights=True,
        linear_path=False,
        dropout=0.2,
        hidden_layer_sizes=(6, 4),
        batch_size=7,
    )
    _vectors("autoencoder-dropout", dropout=0.3, batch_size=7, hidden_layer_sizes=(6, 4))
    _vectors("autoencoder-convolutional", architecture="convolutional", hidden_layer_sizes=(3,))
    _vectors(
        "autoencoder-convolutional-tied",
        architecture="convolutional",
        tied_weights=True,
        image_shape=(4, 3),
        hidden_layer_sizes=(3, 2),
        batch_size=7,
        dtypes=FLOAT32,
    )
    _vectors(
        "autoencoder-convolutional-channels",
        architecture="convolutional",
        dropout=0.2,
        image_shape=(2, 3, 2),
        hidden_layer_sizes=(3,),
        linear_path=True,
        dtypes=FLOAT64,
    )
    _vectors("autoencoder-own", architecture=small, code_penalty="l1", corruption="masking")
    _vectors("autoencoder-own-with-state", fit_reloaded, architecture=with_state, batch_size=7)
    _vectors("autoencoder-standard", scaling="standard", solver="sgd", momentum=0.8)
    _vectors("autoencoder-unscaled", scaling=None, solver="sgd", schedule="constant")
    _vectors(
        "autoencoder-one-layer",
        hidden_layer_sizes=(),
        alpha=0.0,
        shuffle=False,
        batch_size=7,
        dtypes=FLOAT64,
    )
    _vectors(
        "autoencoder-share-of-variance", n_components=0.9, schedule="constant", dtypes=FLOAT64
    )
    _vectors("autoencoder-many-components", n_components=15, linear_path=True, dtypes=FLOAT64)
    _vectors("autoencoder-lbfgs", solver="lbfgs")
    _vectors(
        "autoencoder-lbfgs-no-path",
        solver="lbfgs",
        linear_path=False,
        activation="tanh",
        schedule="constant",
        dtypes=FLOAT64,
    )
    _vectors("autoencoder-stopped", early_stopping=True, linear_path=False, learning_rate=0.1)
    _vectors(
        "autoencoder-validated",
        validated,
        early_stopping=True,
        weighted=True,
        dropout=0.2,
        dtypes=FLOAT64,
    )
    _vectors("autoencoder-weighted", weighted=True, corruption="gaussian", batch_size=7)
    _vectors("autoencoder-halves", halves, weighted=True, solver="sgd", dropout=0.2)
    _vectors(
        "autoencoder-halves-reloaded", halves_reloaded, corruption="salt_and_pepper", batch_size=7
    )
    _vectors("autoencoder-more", fit_then_more, scaling="standard", dtypes=FLOAT32)
    _vectors(
        "autoencoder-warm", twice, warm_start=True, corruption="salt_and_pepper", dtypes=FLOAT32
    )
    plateau = {"schedule": "constant", "max_iter": 9, "tol": 2.0, "n_iter_no_change": 2}
    _vectors("autoencoder-plateau", linear_path=False, **plateau)
    _vectors(
        "autoencoder-generated",
        generated,
        scaling="global",
        corruption="masking",
        corruption_level=0.4,
        early_stopping=True,
        validation_fraction=0.3,
    )
    # beyond 10 000 rows, which are not told apart by content, and 1024, whose codes are looked at
    _vectors(
        "autoencoder-many-rows",
        data=partial(_table, 10_050, 3),
        hidden_layer_sizes=(4,),
        batch_size=4000,
        max_iter=1,
        dropout=0.2,
        dtypes=FLOAT32,
    )
    wide = partial(_table, 250, 96)
    _vectors("autoencoder-wide", data=wide, hidden_layer_sizes=(130, 70), n_components=8)
    # a product of this size is given all threads
    _vectors(
        "autoencoder-wide-threads",
        data=wide,
        hidden_layer_sizes=(600,),
        max_iter=1,
        linear_path=False,
        activation="silu",
        dtypes=FLOAT32,
    )


def _variational() -> None:
    _vectors("variational")
    _vectors("variational-binary_cross_entropy", loss="binary_cross_entropy", batch_size=7)
    _vectors("variational-poisson", loss="poisson", linear_path=False, weighted=True)
    _vectors("variational-no-path", linear_path=False, dropout=0.2, batch_size=7, kl_weight=4.0)
    _vectors(
        "variational-standard",
        scaling="standard",
        kl_weight=0.0,
        solver="sgd",
        hidden_layer_sizes=(),
        dtypes=FLOAT64,
    )
    _vectors(
        "variational-convolutional",
        architecture="convolutional",
        image_shape=(4, 3),
        hidden_layer_sizes=(3,),
        dtypes=FLOAT64,
    )
    _vectors(
        "variational-tanh",
        output_activation="tanh",
        activation="gelu",
        dtype="float64",
        alpha=1.0,
        scaling="standard",
        dtypes=FLOAT32,
    )
    _vectors("variational-own", fit_reloaded, architecture=means_and_variances, dtypes=FLOAT32)
    _vectors(
        "variational-stopped",
        early_stopping=True,
        n_components=0.9,
        activation="tanh",
        dtypes=FLOAT64,
    )
    _vectors("variational-halves-reloaded", halves_reloaded, scaling=None, batch_size=7)
    _vectors("variational-warm", twice, warm_start=True, schedule="constant", dtypes=FLOAT32)
    _vectors(
        "variational-wide",
        data=partial(_table, 250, 96),
        hidden_layer_sizes=(130,),
        dtypes=FLOAT32,
    )


def _sequence_autoencoders() -> None:
    padded, ended = partial(_sequences, "padded"), partial(_sequences, "ended")
    _codes("sequence-autoencoder")
    _codes(
        "sequence-autoencoder-rnn-padded",
        padded,
        cell="rnn",
        loss="huber",
        batch_size=7,
        dtypes=FLOAT32,
    )
    _codes("sequence-autoencoder-gru-ended", ended, cell="gru", loss="absolute_error")
    _codes(
        "sequence-autoencoder-flat",
        partial(_sequences, "flat"),
        n_channels=2,
        cell="gru",
        scaling=None,
        solver="sgd",
        schedule="constant",
        dtypes=FLOAT64,
    )
    _codes(
        "sequence-autoencoder-whole",
        partial(_sequences, "whole"),
        n_components=5,
        answers=_module_too,
        alpha=0.1,
    )
    _codes("sequence-autoencoder-relu", cell="rnn", activation="relu", max_grad_norm=None)
    _codes("sequence-autoencoder-binary_cross_entropy", loss="binary_cross_entropy", n_layers=2)
    _codes(
        "sequence-autoencoder-poisson",
        loss="poisson",
        cell="rnn",
        bidirectional=True,
        dtypes=FLOAT64,
    )
    _codes(
        "sequence-autoencoder-deep",
        cell="gru",
        n_layers=2,
        bidirectional=True,
        dropout=0.2,
        batch_size=7,
        dtypes=FLOAT32,
    )
    _codes("sequence-autoencoder-lbfgs", solver="lbfgs", cell="rnn")
    _codes(
        "sequence-autoencoder-stopped",
        early_stopping=True,
        batch_size=7,
        dtype="float32",
        dtypes=FLOAT64,
    )
    _codes(
        "sequence-autoencoder-validated",
        padded,
        validated,
        early_stopping=True,
        cell="gru",
        dtypes=FLOAT64,
    )
    _codes("sequence-autoencoder-halves-reloaded", padded, halves_reloaded, cell="rnn")
    _codes(
        "sequence-autoencoder-warm", ended, twice, warm_start=True, dtype="float64", dtypes=FLOAT32
    )
    # long ones of unequal lengths: passes over padded steps, several of them kept
    _codes(
        "sequence-autoencoder-long",
        partial(_sequences, "list", n=12, longest=40, shortest=3),
        batch_size=2,
        max_iter=2,
    )
    _codes(
        "sequence-autoencoder-weighted",
        lambda: _weighted(_sequences("list")),
        cell="gru",
        batch_size=7,
        dtypes=FLOAT64,
    )


def _regressors() -> None:
    padded, ended = partial(_sequences, "padded"), partial(_sequences, "ended")
    whole = partial(_sequences, "whole")
    _predictor("regressor")
    for cell in ("rnn", "gru"):
        _predictor(f"regressor-{cell}", cell=cell, batch_size=7)
    _predictor(
        "regressor-relu",
        cell="rnn",
        activation="relu",
        n_layers=2,
        max_grad_norm=None,
        dtypes=FLOAT64,
    )
    for loss, cell in {
        "absolute_error": "rnn",
        "huber": "gru",
        "poisson": "rnn",
        "binary_cross_entropy": "gru",
        "gaussian": "lstm",
    }.items():
        table = _counts if loss == "poisson" else _shares
        _predictor(f"regressor-{loss}", loss=loss, cell=cell, y={"table": table, "n_outputs": 2})
    _predictor("regressor-quantile", loss="quantile", quantile=0.9, cell="rnn", pooling="mean")
    for i, name in enumerate(
        ("logistic", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu")
    ):
        _predictor(
            f"regressor-output-{name}",
            output_activation=name,
            cell=("rnn", "gru")[i % 2],
            pooling=("last", "mean", "max", "attention")[i % 4],
        )
    _predictor("regressor-output-gelu", output_activation="gelu", cell="rnn", dtypes=FLOAT64)
    for pooling in ("mean", "max", "attention"):
        _predictor(f"regressor-{pooling}", pooling=pooling, dtypes=FLOAT64)
        _predictor(
            f"regressor-{pooling}-bidirectional",
            padded,
            pooling=pooling,
            cell="gru",
            bidirectional=True,
            n_layers=2,
            batch_size=7,
            dtypes=FLOAT32,
        )
    _predictor("regressor-bidirectional", ended, bidirectional=True, input_skip=False)
    _predictor("regressor-per-step", return_sequences=True, y={"n_outputs": 2}, loss="gaussian")
    _predictor(
        "regressor-per-step-gru",
        return_sequences=True,
        cell="gru",
        n_layers=2,
        bidirectional=True,
        dropout=0.2,
        batch_size=7,
        dtypes=FLOAT32,
    )
    _predictor(
        "regressor-flat",
        partial(_sequences, "flat"),
        n_channels=2,
        scaling=None,
        input_skip=False,
        cell="rnn",
        dtypes=FLOAT64,
    )
    _predictor("regressor-module", padded, answers=_module_too, n_layers=2)
    _predictor("regressor-float64-of-float32", dtype="float64", dtypes=FLOAT32)
    _predictor("regressor-float32-of-float64", dtype="float32", dtypes=FLOAT64, cell="gru")
    _predictor(
        "regressor-sgd", solver="sgd", schedule="constant", momentum=0.8, alpha=0.1, dtypes=FLOAT32
    )
    _predictor("regressor-lbfgs", solver="lbfgs")
    _predictor(
        "regressor-lbfgs-attention",
        padded,
        solver="lbfgs",
        pooling="attention",
        cell="rnn",
        schedule="constant",
        dtypes=FLOAT64,
    )
    _predictor(
        "regressor-stopped",
        early_stopping=True,
        dropout=0.2,
        n_layers=2,
        cell="rnn",
        dtypes=FLOAT64,
    )
    _predictor(
        "regressor-validated", padded, validated, early_stopping=True, shuffle=False, batch_size=7
    )
    _predictor("regressor-halves", padded, halves, cell="gru", dropout=0.2, dtypes=FLOAT32)
    _predictor(
        "regressor-halves-reloaded", _weighted_numbers, halves_reloaded, pooling="attention"
    )
    _predictor("regressor-more", ended, fit_then_more, n_layers=2, solver="sgd", dtypes=FLOAT32)
    _predictor(
        "regressor-warm", course=twice, warm_start=True, cell="rnn", batch_size=7, dtypes=FLOAT64
    )
    _predictor("regressor-states", _with_states)
    _predictor(
        "regressor-states-padded", partial(_with_states, "padded"), batch_size=7, dtypes=FLOAT32
    )
    _predictor(
        "regressor-windows",
        _windows,
        answers=_forecasts,
        cell="gru",
        hidden_size=8,
        dtypes=FLOAT32,
    )
    _predictor(
        "regressor-windows-gaussian", _windows, answers=_forecasts, loss="gaussian", dtypes=FLOAT64
    )
    long = partial(_sequences, "list", n=12, longest=40, shortest=3)
    for cell in ("rnn", "lstm", "gru"):
        # passes over padded steps, several of them kept; of "lstm" in float32 by oneDNN
        _predictor(f"regressor-{cell}-long", long, cell=cell, batch_size=2, max_iter=2)
    _predictor(
        "regressor-long-deep",
        long,
        n_layers=2,
        bidirectional=True,
        pooling="attention",
        max_iter=2,
        dtypes=FLOAT32,
    )
    _predictor(
        "regressor-many",  # beyond 10 000
        partial(_sequences, "flat", n=10_050, n_channels=1, longest=3),
        cell="rnn",
        hidden_size=2,
        batch_size=4000,
        max_iter=1,
        dtypes=FLOAT64,
    )
    # oneDNN without padding
    _predictor("regressor-long-whole", partial(_sequences, "whole", longest=30), n_layers=2)
    _predictor("regressor-wide", whole, hidden_size=96)
    _predictor(
        "regressor-wide-long",
        partial(_sequences, "whole", n=32, longest=26),
        hidden_size=110,
        max_iter=1,
        dtypes=FLOAT32,
    )


def _classifiers() -> None:
    padded = partial(_sequences, "padded")
    _predictor("classifier")
    _predictor("classifier-balanced", padded, class_weight="balanced", cell="gru", pooling="max")
    _predictor(
        "classifier-weighted",
        _weighted_classes,
        class_weight={"high": 1.0, "low": 2.0, "mid": 0.5},
        cell="rnn",
        batch_size=7,
    )
    _predictor("classifier-per-step", return_sequences=True, bidirectional=True, dropout=0.2)
    _predictor("classifier-lbfgs", solver="lbfgs", cell="gru", pooling="attention")
    _predictor(
        "classifier-sgd",
        partial(_sequences, "flat"),
        n_channels=2,
        solver="sgd",
        schedule="constant",
        n_layers=2,
        input_skip=False,
        scaling=None,
        max_grad_norm=None,
        alpha=0.1,
    )
    _predictor(
        "classifier-plateau",
        early_stopping=True,
        max_iter=9,
        tol=2.0,
        n_iter_no_change=2,
        dtype="float64",
        cell="rnn",
        activation="relu",
        dtypes=FLOAT32,
    )
    _predictor(
        "classifier-stopped", early_stopping=True, pooling="mean", cell="gru", dtypes=FLOAT64
    )
    _predictor("classifier-halves-reloaded", padded, halves_reloaded, cell="rnn")
    _predictor(
        "classifier-warm", course=twice, warm_start=True, batch_size=7, cell="gru", dtypes=FLOAT32
    )
    _predictor(
        "classifier-long",
        partial(_sequences, "list", n=12, longest=40, shortest=20),
        pooling="mean",
        batch_size=4,
        max_iter=2,
    )


def _weighted_classes() -> dict:
    return _weighted(_classes(_sequences("list")))


def _weighted_numbers() -> dict:
    return _weighted(_numbers(_sequences("list")))


def _with_states(form="list") -> dict:
    """Sequences that go on from somewhere: h and c of 4 units."""
    data = _numbers(_sequences(form))
    return {**data, "initial_state": 0.5 * np.random.default_rng(7).normal(size=(24, 8))}


def _windows() -> dict:
    series = np.cumsum(np.random.default_rng(3).normal(size=(40, 2)), axis=0)
    X, y = sliding_windows(series, window=8)
    return {"X": X, "y": y}


for _cases in (_autoencoders, _variational, _sequence_autoencoders, _regressors, _classifiers):
    _cases()


# The record.


def bits(case: str) -> dict[str, str]:
    """Digests of all that comes of a case, by name."""
    return {name: digest(value) for name, value in CASES[case]().items()}


def recorded() -> dict:
    """What was written down: "circumstances" and "cases"."""
    return json.loads(RECORD.read_text())


def elsewhere(record: dict) -> list[str]:
    """What is not here as it was where the record was made."""
    here = circumstances()
    return [
        f"{name} is {here.get(name)!r}, was {value!r}"
        for name, value in record["circumstances"].items()
        if here.get(name) != value
    ]


def differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Names of what differs, is missing or is new."""
    names = sorted(found.keys() | expected.keys())
    return [name for name in names if found.get(name) != expected.get(name)]


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description="Digests of small fits.")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--add", action="store_true", help="write down cases that are new")
    how.add_argument("--write", action="store_true", help="write down all cases again")
    chosen = parser.parse_args(arguments)
    record = None if chosen.write else recorded()
    others = [] if record is None else elsewhere(record)
    if others:
        sys.stdout.write("not where the record was made: " + "; ".join(others) + "\n")
        if chosen.add:
            return 1
    if chosen.write or chosen.add:
        known = {} if record is None else record["cases"]
        cases = {case: known.get(case) or bits(case) for case in CASES}
        text = json.dumps({"circumstances": circumstances(), "cases": cases}, indent=1)
        RECORD.write_text(text + "\n")
        return 0
    differ = {case: differences(bits(case), record["cases"].get(case, {})) for case in CASES}
    for case, names in differ.items():
        if names:
            sys.stdout.write(f"{case}: {', '.join(names)}\n")
    return int(any(differ.values()))


if __name__ == "__main__":
    sys.exit(main())
