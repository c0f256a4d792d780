"""Loaders in the manner of `sklearn.datasets`; sources and licences are beside the data."""

from __future__ import annotations

import csv
import io
from importlib import resources
from typing import Any, Literal, NoReturn, overload

import numpy as np
from sklearn.utils import Bunch

from .._core.compat import InvalidParameterError

_N_TRAIN = 270  # training series come first in the file
_SUBSETS = {
    "train": slice(None, _N_TRAIN),
    "test": slice(_N_TRAIN, None),
    "all": slice(None),
}


@overload
def load_japanese_vowels(
    *, subset: str = "train", return_X_y: Literal[False] = False
) -> Bunch: ...


@overload
def load_japanese_vowels(
    *, subset: str = "train", return_X_y: Literal[True]
) -> tuple[list[np.ndarray], np.ndarray]: ...


@overload
def load_japanese_vowels(*, subset: str = "train", return_X_y: bool) -> Any: ...


def load_japanese_vowels(*, subset: str = "train", return_X_y: bool = False) -> Any:
    """Load the Japanese vowels dataset (classification of sequences).

    Nine male speakers said the vowels /ae/; the task is to tell who spoke. An utterance is a
    multivariate series, and no two need have the same number of steps.

    =================  ==================================================
    Classes                                                             9
    Series, train                                      270, 30 of a class
    Series, test        370: 31, 35, 88, 44, 29, 24, 40, 50, 29 of a class
    Steps                                                         7 to 29
    Channels                                                           12
    =================  ==================================================

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Which series to load. The division is that of the source; the test utterances were
        recorded on other occasions.

        - "train": the 270 training series.
        - "test": the 370 test series.
        - "all": training series, then test series.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With these attributes:

        data : list of ndarray of shape (n_steps_i, 12), float64
            The series: 12 LPC cepstrum coefficients at each step.
        target : ndarray of shape (n_series,), int64
            The speaker, 1 to 9. Series are sorted by it within a subset.
        feature_names : list of str
            Names of the channels.
        target_names : ndarray of shape (9,), int64
            The classes, 1 to 9.
        DESCR : str
            Description, source and licence.
        filename : str
            Name of the data file within the package.

    (data, target) : tuple if ``return_X_y`` is True
        The first two of these.

    Raises
    ------
    InvalidParameterError
        A ValueError and TypeError, if a parameter is none of its choices.

    Notes
    -----
    Licence: Creative Commons Attribution 4.0 International (CC BY 4.0), as listed by the UCI
    Machine Learning Repository, https://doi.org/10.24432/C5NS47.

    References
    ----------
    M. Kudo, J. Toyama, M. Shimbo (1999). Multidimensional Curve Classification Using
    Passing-Through Regions. Pattern Recognition Letters 20 (11-13), 1103-1111.

    Examples
    --------
    >>> from skaernn.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> len(X), X[0].shape, X[1].shape
    (270, (20, 12), (26, 12))
    >>> y[[0, 30, 60]]
    array([1, 2, 3])
    """
    if not (isinstance(subset, str) and subset in _SUBSETS):
        names = ", ".join(repr(name) for name in _SUBSETS)
        _refuse("load_japanese_vowels", "subset", subset, f"a str among {{{names}}}")
    _check_bool("load_japanese_vowels", "return_X_y", return_X_y)
    filename, chosen = "japanese_vowels.npz", _SUBSETS[subset]
    with np.load(io.BytesIO(_read(filename)), allow_pickle=False) as file:
        planes, lengths, target = file["bytes"], file["lengths"], file["target"]
    # the file keeps first bytes, second bytes, ... of all numbers together, which packs better
    millionths = np.ascontiguousarray(planes.T).view("<i4")[..., 0]
    ends = np.cumsum(lengths, dtype=int)
    data = [millionths[end - n : end] / 1e6 for end, n in zip(ends, lengths, strict=True)][chosen]
    target = target[chosen].astype(np.int64)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        feature_names=[f"cepstrum_{i}" for i in range(1, 13)],
        target_names=np.arange(1, 10, dtype=np.int64),
        DESCR=_read("japanese_vowels.rst").decode(),
        filename=filename,
    )


def load_mauna_loa_co2(*, interpolate: bool = True) -> Bunch:
    """Load the Mauna Loa weekly atmospheric CO2 dataset (one long series to forecast).

    A rising trend with a yearly season: 2284 weeks from March 1958 to December 2001, 59 of them
    missing in the source. There is no target; :func:`skaernn.sliding_windows` makes one.

    Parameters
    ----------
    interpolate : bool, default=True
        What stands in the missing weeks.

        - True: linear interpolation in time between the weeks before and after the gap.
        - False: NaN.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With these attributes:

        data : ndarray of shape (2284,), float64
            Concentration of CO2 in ppmv, a value a week without omissions.
        dates : ndarray of shape (2284,), datetime64[D]
            The Saturday that dates each week.
        missing : ndarray of shape (2284,), bool
            Which weeks the source has no value for.
        feature_names : list of str
            Name of the one channel.
        DESCR : str
            Description, source, licence, and how gaps are filled.
        filename : str
            Name of the data file within the package.

    Raises
    ------
    InvalidParameterError
        A ValueError and TypeError, if `interpolate` is no bool.

    Notes
    -----
    Licence: public domain, as statsmodels states, from which the file is a copy.

    References
    ----------
    C. D. Keeling, T. P. Whorf (2004). Atmospheric CO2 concentrations derived from flask air
    samples at sites in the SIO network. In Trends: A Compendium of Data on Global Change. Carbon
    Dioxide Information Analysis Center, Oak Ridge National Laboratory.

    Examples
    --------
    >>> from skaernn.datasets import load_mauna_loa_co2
    >>> co2 = load_mauna_loa_co2()
    >>> co2.data.shape
    (2284,)
    >>> co2.data[[0, -1]]
    array([316.1, 371.5])
    >>> co2.dates[[0, -1]]
    array(['1958-03-29', '2001-12-29'], dtype='datetime64[D]')
    >>> int(co2.missing.sum())
    59
    """
    _check_bool("load_mauna_loa_co2", "interpolate", interpolate)
    filename = "mauna_loa_co2.csv"
    _, *weeks = csv.reader(io.StringIO(_read(filename).decode()))
    days = [f"{day[:4]}-{day[4:6]}-{day[6:]}" for day, _ in weeks]
    dates = np.array(days, dtype="datetime64[D]")
    data = np.array([float(value or "nan") for _, value in weeks])
    missing = np.isnan(data)
    if interpolate:
        time = dates.astype(float)
        data[missing] = np.interp(time[missing], time[~missing], data[~missing])
    return Bunch(
        data=data,
        dates=dates,
        missing=missing,
        feature_names=["co2"],
        DESCR=_read("mauna_loa_co2.rst").decode(),
        filename=filename,
    )


def _read(filename: str) -> bytes:
    """A file beside the loaders, from wherever the package was imported."""
    return (resources.files(__package__) / "data" / filename).read_bytes()


def _check_bool(function: str, parameter: str, value: object) -> None:
    if not isinstance(value, (bool, np.bool_)):
        _refuse(function, parameter, value, "a bool")


def _refuse(function: str, parameter: str, value: object, expected: str) -> NoReturn:
    """Refuse a parameter in scikit-learn's words."""
    raise InvalidParameterError(
        f"The {parameter!r} parameter of {function} must be {expected}. Got {value!r} instead."
    )
