"""Every rule about sequences as input: their forms, their lengths, their answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Number

import numpy as np

from .._core.compat import check_feature_names
from .._core.warn import warn_user
from .._rows.content import RaggedContent
from .arrays import (
    FLOATS,
    check_fits_network,
    check_rows,
    to_array_like,
    too_large_refused,
)
from .kinds import (
    familiar,
    familiar_items,
    holds_objects,
    is_list,
    refuse_no_array,
    refuse_records,
    refuse_steps_as_rows,
)
from .lengths import check_lengths, lengths_by_nan
from .plain import all_finite, assert_all_finite, check_array, is_plain

_SCALARS = (Number, np.generic, str, bytes)


@dataclass(frozen=True)
class Sequences:
    """Sequences in one matrix of steps, which may hold steps that belong to none.

    Attributes
    ----------
    steps : ndarray of shape (S, C)
    starts, lengths : ndarray of shape (n,), int64
        Sequence i is ``steps[starts[i] : starts[i] + lengths[i]]``.
    n_steps : int or None
        Steps T of the array that X was; None: it was a list.
    on_rows : bool
        Whether X was 2-D, a row a sequence.
    stride : int
        How far a step is from the one before it. 0, for prediction alone: a sequence is its first
        step again and again.
    """

    steps: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    n_steps: int | None
    on_rows: bool = False
    stride: int = 1

    def __len__(self):
        return len(self.starts)

    @property
    def of_tokens(self) -> bool:
        """Whether steps are numbers of tokens, and no quantities."""
        return self.steps.dtype.kind == "i"

    @property
    def dtype(self) -> np.dtype:
        """The floating type to compute in; tokens leave it open."""
        return np.dtype(np.float32) if self.of_tokens else self.steps.dtype

    @property
    def n_channels(self) -> int:
        """Numbers in a step."""
        return self.steps.shape[1]

    @property
    def content(self) -> RaggedContent:
        """What a sequence consists of."""
        return RaggedContent(self.steps, self.starts, self.lengths)

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """The sequence and the step, (V,) each, of every valid step, sequence after sequence."""
        _, t, _ = self.content.positions(np.arange(len(self)))
        return np.repeat(np.arange(len(self)), self.lengths), t

    def valid(self) -> np.ndarray:
        """Every number that belongs to a sequence."""
        if self.n_steps is None or int(self.lengths.min()) == self.n_steps:
            return self.steps
        return self.steps[self.content.positions(np.arange(len(self)))[0]]

    def joined(self) -> np.ndarray:
        """The valid steps (V, C), sequence after sequence; a copy only if need be."""
        begins = np.cumsum(self.lengths) - self.lengths
        if np.array_equal(begins, self.starts) and len(self.steps) == self.lengths.sum():
            return self.steps
        return self.steps[self.content.positions(np.arange(len(self)))[0]]

    def answer(self, values: np.ndarray, flat: bool) -> np.ndarray:
        """One answer a step in the form that X had.

        Parameters
        ----------
        values : ndarray of shape (V, k)
            Of the valid steps, sequence after sequence.
        flat : bool
            Whether an answer is a number, not a vector.

        Returns
        -------
        ndarray of shape (n, T, k) or (n, T), zero beyond the end of a sequence; or, for a list,
        (n,) of arrays of shape (T_i, k) or (T_i,)
        """
        if flat:
            values = values[:, 0]
        if self.n_steps is None:
            answer = np.empty(len(self), dtype=object)
            answer[:] = np.split(values, np.cumsum(self.lengths)[:-1])
            return answer
        answer = np.zeros((len(self), self.n_steps, *values.shape[1:]), dtype=values.dtype)
        answer[self.places()] = values
        return answer


@dataclass(frozen=True, eq=False)
class Form:
    """What fits have learnt of the form of their input, which answers have to keep to.

    Attributes
    ----------
    n_channels : int
        Numbers in a step.
    on_rows, on_list : bool
        Whether X was 2-D, a row a sequence, or a list of sequences.
    n_steps : int or None
        Steps of each sequence, if all that were ever fitted are equally long.
    with_lengths : bool
        Whether `lengths` said of some sequences that they end before the array does.
    n_outputs : int
        Targets of a sequence, or of a step; an index of a class is one.
    flat : bool
        Whether one answer is a number, not a vector.
    classes : ndarray of shape (n_classes,) or None
        Sorted.
    follows : bool or None
        Whether targets were seen to be the next values of all channels; None: or not to be.
    window : int
        Steps that a linear path reads by their place; 0: none does.
    known : ndarray of bool of shape (n_tokens,) or None
        Which numbers of tokens were there in fit; None: X holds quantities.
    """

    n_channels: int
    on_rows: bool
    on_list: bool
    n_steps: int | None
    with_lengths: bool
    n_outputs: int = 0
    flat: bool = True
    classes: np.ndarray | None = None
    follows: bool | None = None
    window: int = 0
    known: np.ndarray | None = None

    @classmethod
    def of(cls, sequences: Sequences, before: Form | None = None, *, lengths=None) -> Form:
        """That of sequences just checked, which go on where fits of the form `before` ended."""
        n_steps = int(sequences.lengths[0])
        even = bool((sequences.lengths == n_steps).all())
        cut = lengths is not None and sequences.n_steps is not None
        cut = cut and int(sequences.lengths.min()) < sequences.n_steps
        if before is not None:
            even &= before.n_steps == n_steps
            return replace(
                before,
                n_steps=n_steps if even else None,
                with_lengths=before.with_lengths or cut,
            )
        return cls(
            n_channels=sequences.n_channels,
            on_rows=sequences.on_rows,
            on_list=sequences.n_steps is None,
            n_steps=n_steps if even else None,
            with_lengths=cut,
        )


def check_sequences(
    estimator, X, lengths=None, *, form: Form | None = None, name: str = "X"
) -> Sequences:
    """X in any of its forms, finite where it counts; copied only to convert or to join it.

    Parameters
    ----------
    estimator : estimator
        Its `n_channels` says what a 2-D X means; number and names of the features are recorded
        there, or compared with what is.
    X : array-like of shape (n, T * n_channels) or (n, T, C), or list of arrays (T_i, C)
    lengths : array-like of shape (n,) or None
        Steps of each sequence. None: all; an array then may mark steps that are not there by NaN
        in all channels, up to the last step.
    form : Form or None
        What X must agree with. None: this is the first X of a fit.
    name : str
        What messages call X.
    """
    size = getattr(estimator, "embedding_size", None)
    embeds = size is not None if form is None else form.known is not None
    items, plain = None, is_plain(X, 3)
    if not plain:
        refuse_steps_as_rows(X, name)
        refuse_no_array(X, name, 2)
        X = familiar(X, name)
        items = _list_of_sequences(X, name, of_rows=embeds)
    if form is None:
        vars(estimator).pop("feature_names_in_", None)
    if items is not None:
        found = _from_list(estimator, items, form, name)
        if lengths is not None and not np.array_equal(lengths, found.lengths):
            raise ValueError(
                f"lengths was passed with a list, whose sequences have lengths of their own; "
                f"leave it out, or pass {name} as an array of three dimensions."
            )
    elif plain:
        found = _from_floats(X, lengths, name)
    else:
        X = to_array_like(X, name)
        if hasattr(X, "columns") or getattr(X, "ndim", 2) < 3:
            return _from_rows(estimator, X, lengths, form, name)
        found = _from_array(X, lengths, name)
    _check_channels(estimator, found, form, name)
    if form is not None and found.steps.dtype == np.float64 and not embeds:
        check_fits_network(found.valid, estimator, name)
    return found


def _list_of_sequences(X, name: str, *, of_rows: bool) -> list | None:
    """The sequences of a list of them; None if X is a matrix, as a list perhaps, or no list.

    `of_rows` makes sequences of the rows of such a list: of texts that happen to be equally long.
    """
    if not holds_objects(X) and not is_list(X):
        return None
    items = familiar_items(X, name)
    if all(item is None or isinstance(item, _SCALARS) for item in items):
        return None
    refuse_records(items, name)
    shapes = {_shape(item) for item in items}
    is_matrix = len(shapes) == 1 and len(next(iter(shapes))) == 1
    return None if is_matrix and not of_rows else items


def _shape(item) -> tuple:
    """The shape of an array; of nested lists, as far as their first items tell."""
    if hasattr(item, "shape"):
        return tuple(item.shape)
    if not is_list(item):
        return ()
    # a pair of a name and a frame, say, is no row of numbers
    return (len(item), *(max(_shape(item[0]), _shape(item[-1])) if len(item) else ()))


def _from_list(estimator, items: list, form: Form | None, name: str) -> Sequences:
    given = [_one_array(item, f"{name}[{i}]") for i, item in enumerate(items)]
    arrays = [_one_sequence(estimator, one, form, f"{name}[{i}]") for i, one in enumerate(given)]
    _check_depths(items, given, name)
    _check_names(estimator, items, form, name)
    widths = [array.shape[1] for array in arrays]
    heights = {len(array) for array in arrays}
    for i, width in enumerate(widths):
        if width != widths[0]:
            turned = (
                f" All have {len(arrays[0])} rows: if these are the channels, the sequences are "
                f"on their side; pass skaernn.channels_last({name})."
            )
            raise ValueError(
                f"{name}[{i}] has {width} channels, but {name}[0] has {widths[0]}: all sequences "
                "need the same channels." + turned * (len(heights) == 1)
            )
    single = all(array.dtype == np.float32 for array in arrays)
    steps = np.concatenate(arrays, dtype=FLOATS[single], casting="unsafe")
    lengths = np.array([len(array) for array in arrays])
    starts = np.cumsum(lengths) - lengths
    found = Sequences(steps, starts, lengths, None)
    _check_finite(steps, found, name)
    return found


def _check_depths(items: list, arrays: list, name: str) -> None:
    """Refuse nested lists some of which are rows of numbers: a bracket is lost or too much."""
    if len({array.ndim for array in arrays}) == 1:
        return
    depths = {i: arrays[i].ndim for i, item in enumerate(items) if is_list(item)}
    for i, depth in depths.items():
        first = next(iter(depths))
        if depth != depths[first]:
            raise ValueError(
                f"{name}[{i}] is a list of depth {depth}, but {name}[{first}] one of depth "
                f"{depths[first]}: lists of steps, (n_steps, n_channels), or rows of numbers, but "
                "not both."
            )


def _check_names(estimator, items: list, form: Form | None, name: str) -> None:
    """Names of the channels, where sequences are frames: the same for all, as they were in fit."""
    names = [list(item.columns) if hasattr(item, "columns") else None for item in items]
    for i, columns in enumerate(names):
        if columns != names[0]:
            raise ValueError(
                f"{name}[{i}] has columns {columns}, but {name}[0] has {names[0]}: all sequences "
                "need the same channels in the same order."
            )
    if names[0] is not None and (form is None or not form.on_rows):
        check_feature_names(estimator, items[0], reset=form is None)


def _one_array(item, name: str) -> np.ndarray:
    """A sequence as an array of floats of whatever shape."""
    if type(item) is np.ndarray and item.dtype.kind in "iu" and item.dtype.isnative:
        item = item.astype(np.float64)
    elif type(item) is not np.ndarray or item.dtype not in FLOATS:
        item = to_array_like(item, name)
        with too_large_refused(name):
            item = check_array(
                item,
                dtype=FLOATS,
                ensure_2d=False,
                allow_nd=True,
                ensure_all_finite=False,
                ensure_min_samples=0,
                ensure_min_features=0,
                input_name=name,
            )
    return item


def _one_sequence(estimator, item: np.ndarray, form: Form | None, name: str) -> np.ndarray:
    """An array (T, C); a row of numbers is read as a row of a 2-D X is."""
    if item.ndim == 1 and len(item):
        item = _as_rows(item[None], _channels_of_rows(estimator, form, name), name)[0]
    if item.ndim not in (1, 2):
        raise ValueError(
            f"{name} has {item.ndim} dimensions; expected 2D: a sequence is an array of shape "
            "(n_steps, n_channels)."
        )
    if not item.shape[0]:
        raise ValueError(f"{name} has 0 step(s); a sequence needs one at least.")
    if not item.shape[1]:
        raise ValueError(f"{name} has 0 feature(s), that is, no channels.")
    return item


def _as_rows(X: np.ndarray, n_channels: int, name: str) -> np.ndarray:
    """(n, T * C) as (n, T, C)."""
    if X.shape[1] % n_channels:
        raise ValueError(
            f"{name} has {X.shape[1]} columns, which is no multiple of n_channels={n_channels}: a "
            "row is the channels of its first step, then those of the second, and so on. (For one "
            "sequence of shape (n_steps, n_channels), pass X[None].)"
        )
    return X.reshape(len(X), X.shape[1] // n_channels, n_channels)


def _channels_of_rows(estimator, form: Form | None, name: str) -> int:
    """What `n_channels` says, or said in `fit`, of rows of numbers."""
    if form is None:
        return int(estimator.n_channels)
    if not form.on_rows and estimator.n_channels != form.n_channels:
        raise ValueError(
            f"A 2-D {name} has n_channels={estimator.n_channels!r} channels a step, but "
            f"{type(estimator).__name__} is expecting {form.n_channels}: set n_channels, or, "
            f"for one sequence of shape (n_steps, n_channels), pass {name}[None]."
        )
    return form.n_channels


def _from_rows(estimator, X, lengths, form: Form | None, name: str) -> Sequences:
    """A 2-D X: a row is a sequence, its columns are features with names."""
    reset = form is None
    if not reset and np.ndim(X) < 2:  # refused for that, not for its channels: an empty list, say
        check_rows(estimator, X, reset=False, name=name, any_width=True)
    n_channels = _channels_of_rows(estimator, form, name)
    only_channels = not reset and not form.on_rows  # are known

    def refuse_gaps(rows: np.ndarray) -> None:
        by_steps = rows.shape[1] % n_channels == 0
        if by_steps and lengths_by_nan(rows.reshape(len(rows), -1, n_channels), name) is not None:
            return  # to be looked at where there are steps
        with too_large_refused(name):
            assert_all_finite(rows, estimator_name=type(estimator).__name__, input_name=name)

    X = check_rows(
        estimator,
        X,
        reset=reset,
        name=name,
        any_width=only_channels,
        finite=refuse_gaps if lengths is None else False,
    )
    X = _as_rows(X, n_channels, name)
    if only_channels and X.shape[1] == 1:
        warn_user(
            f"Each row of {name} is read as a sequence of one step. For one sequence of shape "
            f"(n_steps, n_channels), pass {name}[None]."
        )
    if lengths is None:
        lengths = lengths_by_nan(X, name)
    found = replace(_as_steps(X, check_lengths(lengths, *X.shape[:2], name)), on_rows=True)
    _check_finite(found.valid(), found, name)
    if not reset and form.known is None:
        check_fits_network(found.valid, estimator, name)
    return found


def _from_array(X, lengths, name: str) -> Sequences:
    if X.ndim > 3:
        raise ValueError(f"{name} has {X.ndim} dimensions; expected 2D or 3D array.")
    for size, what in zip(X.shape, ("sample", "step", "feature"), strict=True):
        if not size:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required."
            )
    with too_large_refused(name):
        X = check_array(X, dtype=FLOATS, allow_nd=True, ensure_all_finite=False, input_name=name)
    return _from_floats(X, lengths, name)


def _from_floats(X: np.ndarray, lengths, name: str) -> Sequences:
    """An array (n, T, C) of floats, not all of which may be finite."""
    found = _as_steps(X, np.full(len(X), X.shape[1]))
    if lengths is None:
        if all_finite(found.steps):
            return found
        lengths = lengths_by_nan(X, name)
    found = replace(found, lengths=check_lengths(lengths, *X.shape[:2], name))
    _check_finite(found.valid(), found, name)
    return found


def _as_steps(X: np.ndarray, lengths: np.ndarray) -> Sequences:
    """(n, T, C) as steps; overlapping windows of one series stay the series."""
    n, n_steps, n_channels = X.shape
    row, step, channel = X.strides
    one_behind_the_other = step == n_channels * X.itemsize
    one_behind_the_other &= n_channels == 1 or channel == X.itemsize
    hop = row // step if one_behind_the_other and not row % step else 0
    if 0 < hop < n_steps:
        steps = np.lib.stride_tricks.as_strided(
            X, ((n - 1) * hop + n_steps, n_channels), (step, X.itemsize), writeable=False
        )
    else:
        hop, steps = n_steps, X.reshape(n * n_steps, n_channels)
    return Sequences(steps, np.arange(n) * hop, lengths, n_steps)


def as_series(X: np.ndarray) -> Sequences:
    """Rows (n, F) as univariate series."""
    return _as_steps(X[:, :, None], np.full(len(X), X.shape[1]))


def _check_finite(values: np.ndarray, found: Sequences, name: str) -> None:
    """Refuse NaN and infinity among the valid steps `values`, and say where they are."""
    if all_finite(values):
        return
    try:
        with too_large_refused(name):
            assert_all_finite(values, input_name=name)
    except ValueError as error:
        where = found.content.positions(np.arange(len(found)))[0]
        bad = ~np.isfinite(found.steps[where]).all(axis=1)
        row, t = (places[int(np.argmax(bad))] for places in found.places())
        advice = " NaN marks steps that are not there only in all channels, up to the last step."
        raise ValueError(
            f"{str(error).partition(chr(10))[0]} The first is in sequence {row}, step {t}."
            + advice * (found.n_steps is not None and "NaN" in str(error))
        ) from None


def _check_channels(estimator, found: Sequences, form: Form | None, name: str) -> None:
    """Record or compare the number of channels of an X that is not 2-D."""
    if form is None:
        estimator.n_features_in_ = found.n_channels
    elif found.n_channels != form.n_channels:
        raise ValueError(
            f"{name} has {found.n_channels} channels, but {type(estimator).__name__} is expecting "
            f"{form.n_channels} channels as input."
        )
