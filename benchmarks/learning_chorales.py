"""Bach's chorales, for `learning.py`: nats per frame of the next frame's 88 keys."""

from functools import partial

import numpy as np
from learning_lines import DEFAULTS, over_seeds, told
from sequences import LeftOut, chorales
from sklearn.neural_network import MLPClassifier

NAME, UNIT = "JSB chorales", "nats a frame"


def jsb(run):
    """Lines of the chorales; there is no boosting, which would want a model a key."""
    if not run.jsb:
        raise LeftOut("no --jsb and no JSB_CHORALES")
    data = chorales(run.jsb)
    (_, y), _, (_, y_test) = data
    share = np.concatenate(y).mean(axis=0).clip(1e-6)
    lines = [told(NAME, "share of each key", [nats(share[None], y_test)], UNIT)]

    def line(model, bar, **params):
        score = partial(by_network, data=data, **params)
        lines.append(over_seeds(NAME, model, score, run.seeds, UNIT, bar))

    if run.rivals:
        score = partial(by_frame, data=data, **run.epochs(200))
        lines.append(over_seeds(NAME, "MLP of the last frame", score, run.seeds, UNIT))
    line(DEFAULTS, 8.45, **run.epochs(), **run.params)
    line("defaults, best epoch by validation", 8.40, **{**watched(run, 200), **run.params})
    if not run.defaults_only:
        wide = {"hidden_size": 300, "scaling": None, "dropout": 0.7, "batch_size": 20}
        name = "LSTM, 300 units, dropout .7, best epoch by validation"
        line(name, 8.50, **watched(run, 80), **wide)
    return lines


def nats(probabilities, y):
    """Cross-entropy of all keys, the mean over frames."""
    p, y = np.clip(np.asarray(probabilities, float), 1e-7, 1 - 1e-7), np.concatenate(y)
    return float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).sum(axis=1).mean())


def watched(run, n_epochs):
    """Parameters: the best of so many epochs, by the validation part."""
    epochs = run.epochs(n_epochs)
    return {"early_stopping": True, "n_iter_no_change": epochs["max_iter"], **epochs}


def by_network(seed, data, **params):
    """Score of a recurrent network, which answers at every frame."""
    from skaernn import RNNSequenceRegressor

    (X, y), (X_val, y_val), (X_test, y_test) = data
    model = RNNSequenceRegressor(
        loss="binary_cross_entropy", return_sequences=True, random_state=seed
    ).set_params(**params)
    validation = {"X_val": X_val, "y_val": y_val} if model.early_stopping else {}
    model.fit(X, y, **validation)
    return nats(np.concatenate(model.predict(X_test)), y_test)


def by_frame(seed, data, **params):
    """Score of a perceptron that reads one frame."""
    (X, y), _, (X_test, y_test) = data
    model = MLPClassifier(early_stopping=True, random_state=seed, **params)
    model.fit(np.concatenate(X), np.concatenate(y))
    return nats(model.predict_proba(np.concatenate(X_test)), y_test)
