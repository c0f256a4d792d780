"""Third room of the tour: a year of CO2 on Mauna Loa, forecast without a look at it."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from skaernn import RNNSequenceRegressor, sliding_windows
from skaernn.datasets import load_mauna_loa_co2

from .words import fit_watched, heading, say, table, timed

YEAR = 52  # weeks
WINDOW = 4 * YEAR
N_YEARS = 6  # held out, the last ones
EVERY = 4  # weeks from one forecast to the next
FOLDS = 3
EPOCHS = 40


@dataclass
class Walk:
    """Forecasts of years that were not known when they were made.

    Attributes
    ----------
    dates : list of datetime64
        Of the first week after each fit.
    squares : dict of str to list of ndarray
        For each way to forecast: for each fit, the squared errors of the forecasts that followed
        it, (n_forecasts, 52).
    last : dict of str to ndarray of shape (52,)
        The last forecast of each way.
    """

    dates: list = field(default_factory=list)
    squares: dict = field(default_factory=dict)
    last: dict = field(default_factory=dict)


def visit(device):
    """Show the room; return what its picture needs."""
    co2 = load_mauna_loa_co2()
    begin = len(co2.data) - N_YEARS * YEAR
    heading("Forecasting a year: sliding_windows and RNNSequenceRegressor")
    say(
        f"CO2 on Mauna Loa, {len(co2.data)} weeks from {co2.dates[0]} to {co2.dates[-1]}: a "
        "trend and a season. Both models read the last four years, less the value of the last "
        "week, which takes the trend out, and give the 52 weeks that follow, at once. n_channels="
        f"{YEAR} makes a step of each year, so that the LSTM has four to go. How strong to "
        f"penalise the weights, GridSearchCV finds in the weeks before {co2.dates[begin]}, with "
        "TimeSeriesSplit, for both. (Window, cell, size and epochs were chosen on forecasts of "
        "1984 to 1995.)"
    )
    X, y = relative_windows(co2.data[:begin])
    models = {"ridge": search_ridge().fit(X, y), "LSTM": search_recurrent(device)}
    label = f"LSTM, {len(models['LSTM'].param_grid['alpha']) * FOLDS} fits"
    fit_watched(models["LSTM"], X, y, label)
    models = {name: found.best_estimator_ for name, found in models.items()}
    with timed(f"ridge and LSTM once a year, {N_YEARS} fits each"):
        walk = walk_forward(co2, begin, models)
    print()
    print_walk(walk)
    return co2, walk


# Windows, and models of them


def relative_windows(series):
    """Return windows of four years and the years that follow, less each window's last value."""
    windows, following = sliding_windows(series, WINDOW, horizon=YEAR)
    level = windows[:, -1]  # (n, 1)
    return windows[..., 0] - level, following - level


def splits():
    """Return folds in which no year to be forecast has been seen, in whole or in part."""
    return TimeSeriesSplit(FOLDS, test_size=3 * YEAR, gap=YEAR - 1)


def search_recurrent(device):
    """Return a search over the penalty of an LSTM that reads a year a step."""
    lstm = RNNSequenceRegressor(
        "lstm",
        n_channels=YEAR,
        max_iter=EPOCHS,
        random_state=0,
        device=device,
        dtype="float32",
    )
    return searched(lstm, [1.0, 3.0, 10.0])


def search_ridge():
    """Return a search over the penalty of a linear model of the same windows."""
    return searched(Ridge(), [1.0, 10.0, 100.0, 1000.0, 10000.0])


def searched(model, alphas):
    """Return the search over these penalties."""
    return GridSearchCV(
        model, {"alpha": alphas}, cv=splits(), scoring="neg_root_mean_squared_error"
    )


# Forecasts: what follows a series, in ppm, from the series alone


def last_year(series):
    """Return the last year once more: the seasonal-naive forecast."""
    return series[-YEAR:]


def last_year_and_growth(series):
    """Return the last year once more, higher by what it was higher than the year before."""
    return series[-YEAR:] + (series[-1] - series[-YEAR - 1])


def forecast_by(model):
    """Return a fitted model's way to forecast."""

    def forecast(series):
        level = series[-1]
        return model.predict(series[None, -WINDOW:] - level)[0] + level

    return forecast


def walk_forward(co2, begin, models):
    """Fit the models each year on all that came before; forecast from every fourth week on."""
    walk, end = Walk(), len(co2.data) - YEAR
    for start in range(begin, end + 1, YEAR):
        X, y = relative_windows(co2.data[:start])
        ways = {"last year": last_year, "and growth": last_year_and_growth}
        ways |= {name: forecast_by(clone(model).fit(X, y)) for name, model in models.items()}
        origins = range(start, min(start + YEAR, end + 1), EVERY)
        truth = np.stack([co2.data[origin : origin + YEAR] for origin in origins])
        walk.dates.append(co2.dates[start])
        for name, way in ways.items():
            forecasts = np.stack([way(co2.data[:origin]) for origin in origins])
            walk.squares.setdefault(name, []).append((forecasts - truth) ** 2)
            walk.last[name] = forecasts[-1]
    return walk


def print_walk(walk):
    """Print the errors of each year and of all, and who is ahead."""
    n_forecasts = sum(len(squares) for squares in walk.squares["LSTM"])
    say(
        f"Root mean squared error in ppm (lower is better) of {n_forecasts} forecasts of 52 "
        "weeks, one begun every fourth week. The models are fitted again each year, on all "
        "weeks before the date in the first column and none after it. The season of the last "
        "year is the forecast to beat, as it is or higher by the last year's growth:"
    )
    rows = [
        [date, *(f"{rmse(squares[i]):.2f}" for squares in walk.squares.values())]
        for i, date in enumerate(walk.dates)
    ]
    total = {name: rmse(np.concatenate(squares)) for name, squares in walk.squares.items()}
    rows.append(["all", *(f"{error:.2f}" for error in total.values())])
    table(["fitted before", *total], rows)
    say(verdict(total["ridge"], total["LSTM"], min(total["last year"], total["and growth"])))


def rmse(squares):
    """Return the root of the mean."""
    return float(np.sqrt(np.mean(squares)))


def verdict(ridge, lstm, naive):
    """Say how the network did against ridge and the better of the naive forecasts, by errors."""
    first = (
        f"The LSTM's error is {lstm / naive:.0%} of that of the last year with its growth, and "
        f"{lstm / ridge:.0%} of ridge's. "
    )
    if lstm < ridge:
        return first + "It is ahead of both here."
    return first + (
        "Here ridge is the one to take: a trend and a season are nearly linear in the weeks "
        "before, and there is little left for a network to find."
    )


# The picture


def draw(figure, co2, walk):
    """Draw the last year, how it was forecast, and the year before."""
    shown = slice(len(co2.data) - 2 * YEAR, None)
    ax = figure.subplots()
    ax.plot(co2.dates[shown], co2.data[shown], color="black", lw=2, label="measured")
    year = co2.data[-YEAR:]
    styles = {"last year": "C7--", "ridge": "C0-", "LSTM": "C1-"}
    for name, style in styles.items():
        error = rmse((walk.last[name] - year) ** 2)
        label = f"{name}: {error:.2f} ppm off"
        ax.plot(co2.dates[-YEAR:], walk.last[name], style, lw=1.6, label=label)
    ax.axvline(co2.dates[-YEAR], color="black", lw=0.8, ls=":")
    ax.set(ylabel="CO2 on Mauna Loa, ppm", xlim=(co2.dates[shown][0], co2.dates[-1]))
    ax.set_ylim(top=max(co2.data[shown]) + 1.2)
    ax.legend(loc="upper left", title=f"forecast from {co2.dates[-YEAR]} on", ncols=2)
    total = {name: rmse(np.concatenate(walk.squares[name])) for name in styles}
    errors = ", ".join(f"{name} {error:.2f}" for name, error in total.items())
    figure.suptitle("A year of CO2, forecast from the weeks before it", weight="bold")
    n_forecasts = sum(len(squares) for squares in walk.squares["LSTM"])
    ax.set_title(f"{n_forecasts} forecasts begun in six years, ppm: {errors}", fontsize="medium")
