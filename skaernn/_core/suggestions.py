"""What was probably meant by the name of a parameter, or by its value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., None])


def _by_word(table: Mapping[str, str]) -> dict[str, list[str]]:
    """From names to words as they are elsewhere, to what each word may stand for here."""
    found: dict[str, list[str]] = {}
    for name, words in table.items():
        for word in words.split():
            found.setdefault(_plain(word), []).append(name)
    return found


def _plain(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


_NAMES = _by_word(
    {
        "activation": "nonlinearity activation_function act",
        "alpha": "weight_decay l2 reg_lambda regularization l2_penalty",
        "analyzer": "tokenizer split level",
        "cell": "rnn_type cell_type rnn layer_type",
        "hidden_layer_sizes": "hidden_units hidden_dim hidden_dims units layers layer_sizes "
        "n_layers num_layers hidden_size hidden_layers n_hidden encoder_layers neurons",
        "hidden_size": "hidden_units hidden_dim units n_units n_hidden hidden_layer_sizes neurons",
        "kl_weight": "beta kl_beta",
        "learning_rate": "lr eta eta0 learning_rate_init step_size",
        "loss": "criterion objective loss_function loss_fn",
        "max_features": "max_tokens max_words num_words n_words vocab_size vocabulary_size",
        "max_grad_norm": "clip clipnorm clip_norm gradient_clip grad_clip gradient_clip_val",
        "max_iter": "epochs n_epochs num_epochs max_epochs nb_epoch n_iter iterations max_steps",
        "min_df": "min_freq min_frequency min_count",
        "n_components": "latent_dim latent_size code_size code_dim encoding_dim bottleneck "
        "n_latent z_dim n_codes",
        "n_iter_no_change": "patience early_stopping_patience",
        "n_layers": "num_layers depth layers hidden_layers",
        "n_members": "n_estimators ensemble_size n_ensemble n_models num_models n_networks",
        "output_activation": "out_activation final_activation",
        "random_state": "random_seed seed rng",
        "scaling": "standardize normalize scaler normalization",
        "schedule": "lr_scheduler scheduler learning_rate_schedule lr_schedule",
        "solver": "optimizer optim optimiser",
        "token_pattern": "pattern regex",
        "validation_fraction": "validation_split val_split val_size validation_size",
        "vocabulary": "vocab",
    }
)
_VALUES = _by_word(
    {
        "absolute_error": "mae l1 mean_absolute_error l1_loss",
        "adam": "adamw rmsprop nadam adamax adagrad radam",
        "binary_cross_entropy": "bce cross_entropy log_loss bernoulli bce_with_logits",
        "convolutional": "conv conv2d cnn convnet",
        "cuda": "gpu nvidia",
        "dense": "mlp fully_connected feed_forward",
        "float32": "single f4 half float16 bfloat16 32",
        "float64": "float double f8 64",
        "gaussian": "normal nll gaussian_nll noise",
        "huber": "smooth_l1",
        "identity": "linear none",
        "l1": "sparse lasso",
        "last": "final final_state end",
        "lbfgs": "bfgs",
        "logistic": "sigmoid expit",
        "masking": "mask dropout zeros",
        "mean": "avg average avg_pool",
        "quantile": "pinball",
        "rnn": "vanilla elman simple_rnn",
        "sgd": "gd gradient_descent momentum nesterov",
        "silu": "swish",
        "squared_error": "mse l2 mean_squared_error mse_loss squared gaussian normal",
        "standard": "minmax min_max zscore z_score standardize standard_scaler minmax_scaler",
    }
)


def did_you_mean(found: object) -> str:
    """The end of a message; nothing for an empty text."""
    return f" Did you mean {found}?" if found else ""


def name_meant(name: str, known: Iterable[str]) -> str:
    """The parameter among those `known` that `name` is elsewhere, or looks like, or ""."""
    return _meant(name, list(known), _NAMES, alike=0.75)


def value_meant(value: Any, known: Collection[str], none: bool) -> str:
    """What of `known`, or of None where that is one of the choices, `value` is elsewhere.

    Parameters
    ----------
    value : object
        A word; or what has a name, as dtypes and modules of torch have.
    known : collection of str
    none : bool
        Whether None is a choice.

    Returns
    -------
    str
        As it is written in code, or "".
    """
    word = value if isinstance(value, str) else getattr(value, "__name__", str(value))
    word = word.rpartition(".")[2]
    if none and _plain(word) in ("none", "no", "off", "false"):
        return "None"
    found = _meant(word, sorted(known), _VALUES, alike=0.6)
    return repr(found) if found else ""


def _meant(word: str, known: list[str], synonyms: dict[str, list[str]], alike: float) -> str:
    plain = _plain(word)
    same = [name for name in known if _plain(name) == plain]
    other = [name for name in synonyms.get(plain, ()) if name in known]
    close = [] if same or other else get_close_matches(word.lower(), known, 1, alike)
    return next(iter([*same, *other, *close]), "")


def knows_its_parameters(init: F) -> F:
    """A constructor whose TypeError for an unknown parameter names the nearest one."""

    @wraps(init)
    def constructor(self, *args, **parameters):
        try:
            init(self, *args, **parameters)
        except TypeError:
            known = list(inspect.signature(init).parameters)[1:]
            for name in parameters:
                if name not in known:
                    raise TypeError(
                        f"{init.__qualname__}() got an unexpected keyword argument {name!r}. "
                        f"Valid parameters are: {sorted(known)}."
                        f"{did_you_mean(name_meant(name, known))}"
                    ) from None
            raise

    return cast(F, constructor)
