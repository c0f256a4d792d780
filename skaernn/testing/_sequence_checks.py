"""The checks of a sequence estimator: one function each, which raises AssertionError.

A check that does not apply to an estimator raises `unittest.SkipTest` with the reason. The order
is that of causes: what would make later checks fail comes first.
"""

from __future__ import annotations

import io
import pickle
from copy import deepcopy

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ._sequence_forms import ARRAY, GARBAGE, JUNK, LIST, ROWS, Form, padded, with_lengths, with_nan
from ._sequence_probe import N_CHANNELS, Probe, called, fail, refused

_N_MANY = 300  # sequences: more than an estimator is likely to predict at once


def check_fit_and_predict(probe: Probe) -> None:
    """`fit` gives the estimator; `predict` an answer a sequence or a step, not all the same."""
    answers = [rows for method, rows in probe.even_expected.items() if method != "state"]
    if not any((row != rows[0]).any() for rows in answers for row in rows):
        fail(
            "All sequences get the same answer, so that the other checks would see nothing. Let "
            "the estimator train for longer, without early stopping."
        )


def check_prediction_changes_nothing(probe: Probe) -> None:
    """The fitted estimator is what it was after `predict`, and answers as it did."""
    model = probe.model
    before = _contents(model)
    probe.answers(model, probe.even, state=probe.expected.get("state"))
    probe.same(probe.answers(model, probe.X), probe.expected, "the second time")
    answer = called(f"{probe.method} without return_state", probe.ask, model, LIST.X(probe.X))
    probe.same({probe.method: list(answer)}, probe.expected, "without return_state")
    after = _contents(model)
    changed = [n for n in before.keys() | after.keys() if before.get(n) != after.get(n)]
    if changed:
        fail(f"{probe.method} changed attributes of the estimator: {', '.join(sorted(changed))}.")


def _contents(model) -> dict:
    """Attributes as bytes; those that are not pickled, as there or not."""
    kept = model.__reduce_ex__(4)[2]
    if not isinstance(kept, dict):
        kept = {"the state that is pickled": kept}
    kept = {name: called("pickle", pickle.dumps, value) for name, value in kept.items()}
    return {**dict.fromkeys(vars(model), b""), **kept}


def check_inputs_unchanged(probe: Probe) -> None:
    """`fit` and `predict` write into nothing that they are given."""
    form = with_lengths(2, GARBAGE) if probe.has_lengths else LIST
    parts = probe.X
    given = {"X": form.X(parts), "y": probe.targets(parts, form), **form.arguments(parts)}
    before = pickle.dumps(given)
    model = probe.new()
    called(f"fit of {form.name}", model.fit, **given)
    if pickle.dumps(given) != before:
        fail("fit wrote into X, y or lengths.")
    given.pop("y")
    if probe.stateful:
        given["initial_state"] = probe.expected["state"].copy()
    before = pickle.dumps(given)
    called(f"{probe.method} of {form.name}", probe.ask, model, **given)
    if pickle.dumps(given) != before:
        fail(f"{probe.method} wrote into X, lengths or initial_state.")


def check_random_state(probe: Probe) -> None:
    """Two fits with one int `random_state`, or without such a parameter, are the same."""
    _same_fits(probe, probe.expected, probe.twin, "a second fit")
    if not probe.twin.get_params().get("warm_start", False):
        again = probe.fit(probe.X, model=deepcopy(probe.twin))
        _same_fits(probe, probe.expected, again, "a fit after a fit")


def _same_fits(probe: Probe, expected: dict, found, what: str) -> None:
    """A fitted estimator answers as another did."""
    probe.same(probe.answers(found, probe.X), expected, what, of_fits=True)


def check_list_equals_array(probe: Probe) -> None:
    """A list of sequences of equal length is the 3-D array."""
    even = probe.even_model, probe.even, probe.even_expected, ARRAY
    _check_form(probe, *even, LIST, probe.fit(probe.even))


def check_lengths_equal_list(probe: Probe) -> None:
    """A padded array with `lengths` is the list."""
    probe.need_lengths()
    uneven = probe.model, probe.X, probe.expected, LIST
    _check_form(probe, *uneven, with_lengths(), probe.padded_model)


def check_nan_equals_list(probe: Probe) -> None:
    """A padded array that marks by NaN where sequences end is the list."""
    uneven = probe.model, probe.X, probe.expected, LIST
    _check_form(probe, *uneven, with_nan(), probe.nan_model)


def check_rows_equal_array(probe: Probe) -> None:
    """A 2-D array is the 3-D array, by the parameter `n_channels`."""
    probe.need_channels()
    even = probe.even_model, probe.even, probe.even_expected, ARRAY
    _check_form(probe, *even, ROWS, probe.fit(probe.even, ROWS))


def _check_form(probe: Probe, model, parts, expected, form: Form, other: Form, fitted) -> None:
    """A model fitted on one form predicts another alike, and one `fitted` on that is the same."""
    what = f"{other.name} instead of {form.name}"
    probe.same(probe.answers(model, parts, other), expected, f"{probe.method} of {what}")
    found = probe.answers(fitted, parts, form)
    probe.same(found, expected, f"{probe.method} after a fit of {what}", of_fits=True)


def check_padding_in_predict(probe: Probe) -> None:
    """Neither the amount of padding nor what is in it changes an answer, or a state."""
    probe.need_lengths()
    expected = probe.answers(probe.model, probe.X, with_lengths())
    for form in (with_lengths(1), with_lengths(9), with_lengths(0, JUNK)):
        found = probe.answers(probe.model, probe.X, form)
        probe.same(found, expected, f"{probe.method} of {form.name}")
    if probe.stateful:
        state, form = probe.expected["state"], with_lengths(2, JUNK)
        expected = probe.answers(probe.model, probe.X, with_lengths(), state)
        found = probe.answers(probe.model, probe.X, form, state)
        probe.same(found, expected, f"predict, with initial_state, of {form.name}")


def check_padding_amount_in_fit(probe: Probe) -> None:
    """The amount of padding does not change what is learnt."""
    probe.need_lengths()
    _check_padded_fit(probe, with_lengths(8))


def check_padding_content_in_fit(probe: Probe) -> None:
    """What is in the padding does not change what is learnt: it receives no gradient."""
    probe.need_lengths()
    _check_padded_fit(probe, with_lengths(0, JUNK))


def check_target_padding_in_fit(probe: Probe) -> None:
    """Targets of steps beyond the end of a sequence do not change what is learnt."""
    probe.need_lengths()
    probe.need_targets_of_steps()
    _check_padded_fit(probe, with_lengths(), beyond=GARBAGE)


def _check_padded_fit(probe: Probe, form: Form, beyond=None) -> None:
    what = "after a fit of " + form.name + (" and garbage in y" if beyond else "")
    _same_fits(probe, probe.padded_expected, probe.fit(probe.X, form, beyond=beyond), what)


def check_batch_mates(probe: Probe) -> None:
    """An answer does not depend on the sequences beside it: none, large ones, many."""
    parts, expected, n = probe.X, probe.expected, len(probe.X)
    for i, part in enumerate(parts):
        found = probe.answers(probe.model, [part])
        probe.same(found, _rows(expected, [i]), f"sequence {i} alone")
    large = [1e3 * part for part in probe.even]
    found = probe.answers(probe.model, [*parts, *large])
    probe.same(_rows(found, range(n)), expected, "beside sequences a thousand times as large")
    many = [i % n for i in range(_N_MANY)]
    found = probe.answers(probe.model, [parts[i] for i in many])
    probe.same(found, _rows(expected, many), f"among {_N_MANY} sequences")


def check_batch_order(probe: Probe) -> None:
    """Sequences in another order get the same answers and states."""
    order = _shuffled(len(probe.X))
    found = probe.answers(probe.model, [probe.X[i] for i in order])
    probe.same(found, _rows(probe.expected, order), f"sequences in the order {order}")


def _shuffled(n: int) -> list[int]:
    return np.random.default_rng(2).permutation(n).tolist()


def _rows(answers: dict, rows) -> dict:
    """Answers to some of the sequences."""
    return {method: [values[i] for i in rows] for method, values in answers.items()}


def check_other_lengths(probe: Probe) -> None:
    """Sequences may be shorter and longer in `predict` than they were in `fit`."""
    for n_steps in (1, 7):
        parts = [np.resize(part, (n_steps, N_CHANNELS)) for part in probe.even]
        expected = probe.answers(probe.even_model, parts, ARRAY)
        found = probe.answers(probe.even_model, parts)
        probe.same(found, expected, f"a list of {n_steps} steps, fitted on {len(probe.even[0])}")


def check_split_in_two(probe: Probe) -> None:
    """Cut anywhere, and the state carried on, sequences get the answers of the whole."""
    probe.need_state()
    n_steps = len(probe.even[0])
    for cut in range(1, n_steps):
        pieces = [[part[:cut] for part in probe.even], [part[cut:] for part in probe.even]]
        found = _joined(probe, probe.even_model, pieces, ARRAY)
        probe.same(found, probe.even_expected, f"cut after step {cut - 1} of {n_steps}")


def check_split_in_three(probe: Probe) -> None:
    """Cut in three at places of their own, sequences of unequal length too."""
    probe.need_state()
    parts = [part for part in probe.X if len(part) > 2]
    cuts = [(1 + i % (len(part) - 2), len(part) - 1) for i, part in enumerate(parts)]
    pieces = [np.split(part, cut) for part, cut in zip(parts, cuts, strict=True)]
    found = _joined(probe, probe.model, [list(piece) for piece in zip(*pieces, strict=True)], LIST)
    probe.same(found, probe.answers(probe.model, parts), f"cut before steps {cuts}")


def _joined(probe: Probe, model, pieces: list[list], form: Form = LIST) -> dict:
    """Answers to sequences in pieces: of the last piece or, for each step, of all."""
    state, found = None, []
    for piece in pieces:
        found.append(probe.answers(model, piece, form, state))
        state = found[-1]["state"]
    return _of_pieces(probe, found)


def _of_pieces(probe: Probe, found: list[dict]) -> dict:
    """Answers to pieces as answers to the whole."""
    if not probe.per_step:
        return found[-1]
    joined = {
        method: [
            np.concatenate(rows) for rows in zip(*(part[method] for part in found), strict=True)
        ]
        for method in found[-1].keys() - {"state"}
    }
    return {**joined, "state": found[-1]["state"]}


def check_state_rows(probe: Probe) -> None:
    """A row of the state belongs to a sequence: it can be moved, left out, stored."""
    probe.need_state()
    begun, ends, first, _ = probe.stream
    state, n = first["state"], len(begun)
    answer = called(
        "predict with return_state", probe.model.predict, LIST.X(begun), return_state=True
    )
    expected = probe.answers(probe.model, ends, state=state)
    probe.same({"state": answer[1]}, {"state": state}, "after the next predict")
    for rows in (_shuffled(n), list(range(0, n, 2))):
        found = probe.answers(probe.model, [ends[i] for i in rows], state=state[rows])
        probe.same(found, _rows(expected, rows), f"rows {rows} of sequences and state")
    file = io.BytesIO()
    called("numpy.save of a state", np.save, file, state, allow_pickle=False)


def check_state_refused_in_both_directions(probe: Probe) -> None:
    """With `bidirectional`, where a state cannot make pieces a whole, there is none to get."""
    probe.need_both_directions()
    X = ARRAY.X(probe.even)
    refused("return_state with bidirectional", probe.even_model.predict, X, return_state=True)


def check_pickle(probe: Probe) -> None:
    """After pickle the fitted estimator answers as before."""
    found = probe.answers(_pickled(probe.model), probe.X)
    probe.same(found, probe.expected, "after pickle")


def _pickled(value):
    return called("pickle", lambda: pickle.loads(pickle.dumps(value)))


def check_pickle_in_mid_stream(probe: Probe) -> None:
    """Estimator and state can be pickled between two pieces of a sequence."""
    probe.need_state()
    _, ends, first, whole = probe.stream
    model, state = _pickled((probe.model, first["state"]))
    found = _of_pieces(probe, [first, probe.answers(model, ends, state=state)])
    probe.same(found, whole, "pickled in mid-stream")


def check_clone(probe: Probe) -> None:
    """A clone is unfitted with equal parameters; the original is not touched by its fit."""
    model = probe.model
    copy = called("clone", clone, model)
    if type(copy) is not type(model) or copy is model:
        fail(f"clone gave {copy!r}, which is no new {type(model).__name__}.")
    old, new = model.get_params(), copy.get_params()
    for name in old.keys() | new.keys():
        a, b = old.get(name), new.get(name)
        if a is not b and pickle.dumps(a) != pickle.dumps(b):
            fail(f"The clone has {name}={b!r}, the original {a!r}.")
    try:
        probe.ask(copy, LIST.X(probe.X))
        fail(f"A clone of a fitted estimator can {probe.method} before it was fitted.")
    except NotFittedError:
        pass
    probe.fit(probe.even, ARRAY, model=copy)
    found = probe.answers(model, probe.X)
    what = "the original, after its clone was fitted on other sequences"
    probe.same(found, probe.expected, what)


def check_clone_in_mid_stream(probe: Probe) -> None:
    """Another clone, fitted on the same sequences, goes on from the state of the first."""
    probe.need_state()
    _, ends, first, whole = probe.stream
    found = _of_pieces(probe, [first, probe.answers(probe.twin, ends, state=first["state"])])
    probe.same(found, whole, "a clone going on", of_fits=True)


def check_zero_length_in_list(probe: Probe) -> None:
    """A list with an empty sequence is refused with ValueError; an array without steps too."""
    empty = [*probe.X[:-1], probe.X[0][:0]]
    _check_refused(probe, LIST, empty, LIST.X(empty), "an empty sequence")
    none = [part[:0] for part in probe.X]
    _check_refused(probe, ARRAY, none, ARRAY.X(none), "no steps")


def check_zero_length_in_lengths(probe: Probe) -> None:
    """`lengths` below 1, or above the steps there are, are refused with ValueError."""
    probe.need_lengths()
    n_steps = max(len(part) for part in probe.X)
    for bad in (0, -1, n_steps + 1):
        lengths = np.array([len(part) for part in probe.X])
        lengths[-1] = bad
        what = f"a length of {bad} of {n_steps} steps"
        _check_refused(probe, ARRAY, probe.X, padded(probe.X, 0, 0), what, lengths=lengths)


def check_zero_length_by_nan(probe: Probe) -> None:
    """A sequence that is NaN from its first step on is refused with ValueError."""
    _ = probe.nan_model  # does not apply where NaN is refused anyway
    X = padded(probe.X, 0, np.nan)
    X[-1] = np.nan
    _check_refused(probe, ARRAY, probe.X, X, "NaN at all steps")


def check_number_of_channels(probe: Probe) -> None:
    """Sequences of other channels than in `fit`, or than each other, get a ValueError."""
    for n_channels in (N_CHANNELS - 1, N_CHANNELS + 1):
        parts = [np.resize(part, (len(part), n_channels)) for part in probe.even]
        for form in (ARRAY, LIST):
            what = f"{probe.method} of {form.name} with {n_channels} channels for {N_CHANNELS}"
            refused(what, probe.ask, probe.even_model, form.X(parts))
        mixed = [*probe.even[:-1], parts[-1]]
        what = f"one sequence of {n_channels} channels"
        _check_refused(probe, LIST, mixed, LIST.X(mixed), what)


def check_number_of_columns(probe: Probe) -> None:
    """A 2-D array whose columns are not whole steps of `n_channels` is refused."""
    probe.need_channels()
    X = ROWS.X(probe.even)[:, :-1]
    _check_refused(probe, ROWS, probe.even, X, f"{X.shape[1]} columns for {N_CHANNELS} channels")


def _check_refused(probe: Probe, form: Form, parts: list, X, what: str, **given) -> None:
    """`fit`, with targets for `parts`, and `predict` refuse X."""
    y = probe.targets(parts, form)
    refused(f"fit with {what}", probe.new().fit, deepcopy(X), y, **given)
    refused(f"{probe.method} with {what}", probe.ask, probe.even_model, X, **given)


CHECKS = tuple(check for name, check in list(globals().items()) if name.startswith("check_"))
