"""First room of the tour: PCA and an autoencoder, side by side, on handwritten digits."""

import operator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skaernn import AutoencoderTransformer

from .words import fit_watched, heading, listed, say, table

SIZES = (2, 8, 16)
DRAWN_SIZE = 8
SEARCHED_SIZES = (8, 16, 24)
SEARCHED_RATES = (1e-3, 3e-3)
SEARCHED_EPOCHS = 100
FOLDS = 3


class Digits(NamedTuple):
    """Images of handwritten digits (64 grey levels a row) and the digits they show."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


@dataclass
class Result:
    """A fitted reducer, and how it did on images it has not seen."""

    reducer: object
    error: float  # mean squared error of the restored pixels
    accuracy: float  # of the classifier behind it


def visit(device):
    """Show the room; return what its picture needs."""
    digits = Digits(*load())
    introduce(digits, device)
    results = compare(digits, device)
    search(digits, device)
    return digits, results


def load():
    """Return the images and the labels, each for training and held out."""
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)


def introduce(digits, device):
    """Say what the data are."""
    n_train, n_test = len(digits.X_train), len(digits.X_test)
    heading("Handwritten digits")
    say(
        f"{n_train + n_test} handwritten digits: images of 8 x 8 pixels, each pixel a grey level "
        f"from 0 to 16. {n_train} of them are for training; the other {n_test} are held out. The "
        "pixels are used as they are: all have the same unit, so there is nothing to scale."
    )
    if device != "cpu":
        say(f"Networks are trained on the device {device!r}.")


# PCA and the autoencoder before the same classifier


def before_classifier(reducer):
    """Return the pipeline: a classifier that sees nothing of an image but its code."""
    return Pipeline(
        [
            ("reduce", reducer),
            ("scale", StandardScaler()),
            ("classify", LogisticRegression(max_iter=1000)),
        ]
    )


def compare(digits, device):
    """Fit both reducers with codes of several sizes; print and return how they did."""
    heading("PCA and AutoencoderTransformer before a classifier")
    say(
        "Both squeeze the 64 pixels of an image into a code of a few numbers, and restore an "
        "image from its code. A logistic regression reads the digit from the code alone."
    )
    results = {}
    for size in SIZES:
        pca = before_classifier(PCA(size, random_state=0))
        autoencoder = before_classifier(
            AutoencoderTransformer(size, random_state=0, device=device)
        )
        pca.fit(digits.X_train, digits.y_train)
        label = f"autoencoder with a code of {size} numbers"
        fit_watched(autoencoder, digits.X_train, digits.y_train, label)
        results[size] = evaluate(pca, digits), evaluate(autoencoder, digits)
    print_comparison(results, len(digits.X_test))
    return results


def evaluate(pipeline, digits):
    """Measure a fitted pipeline on the held-out images."""
    reducer = pipeline["reduce"]
    restored = reducer.inverse_transform(reducer.transform(digits.X_test))
    return Result(
        reducer=reducer,
        error=float(np.mean((digits.X_test - restored) ** 2)),
        accuracy=pipeline.score(digits.X_test, digits.y_test),
    )


def print_comparison(results, n_test):
    """Print the results of both side by side, and who is ahead."""
    print()
    say(
        "On the held-out images: the reconstruction error is the mean squared difference between "
        "a pixel and its restored value (lower is better), the accuracy the share of digits read "
        f"correctly (higher is better; of {n_test} digits, a percent or so may be luck)."
    )
    table(
        ["code", "error: PCA", "autoencoder", "accuracy: PCA", "autoencoder"],
        [
            [
                size,
                f"{pca.error:.2f}",
                f"{autoencoder.error:.2f}",
                f"{pca.accuracy:.1%}",
                f"{autoencoder.accuracy:.1%}",
            ]
            for size, (pca, autoencoder) in results.items()
        ],
    )
    errors = {size: (-pca.error, -other.error) for size, (pca, other) in results.items()}
    accuracies = {size: (pca.accuracy, other.accuracy) for size, (pca, other) in results.items()}
    say(verdict({"reconstruction error": errors, "accuracy": accuracies}))


def verdict(measures):
    """Say where PCA is not behind, given {measure: {size: (PCA, autoencoder)}}, higher better."""
    places = []
    for place, holds in (("ahead", operator.gt), ("level", operator.eq)):
        for measure, scores in measures.items():
            sizes = [size for size, pair in scores.items() if holds(*pair)]
            if sizes:
                places.append(f"{place} in {measure} with a code of {listed(sizes)}")
    if not places:
        return "PCA is behind everywhere in this table."
    return f"PCA is {'; '.join(places)}; behind everywhere else in this table."


# The grid search


def search(digits, device):
    """Search size and learning rate inside the pipeline; print the scores and the best."""
    heading("GridSearchCV over n_components and learning_rate")
    sizes, rates = list(SEARCHED_SIZES), list(SEARCHED_RATES)
    say(
        "The autoencoder is a step like any other, so scikit-learn's search tunes it, here for "
        f"the accuracy of the classifier behind it. To be quick: {SEARCHED_EPOCHS} epochs a fit "
        "instead of the 200 of the default. PCA, searched in the same way, has only its size."
    )
    pca = GridSearchCV(
        before_classifier(PCA(random_state=0)), {"reduce__n_components": sizes}, cv=FOLDS
    )
    autoencoder = GridSearchCV(
        before_classifier(
            AutoencoderTransformer(max_iter=SEARCHED_EPOCHS, random_state=0, device=device)
        ),
        {"reduce__n_components": sizes, "reduce__learning_rate": rates},
        cv=FOLDS,
    )
    pca.fit(digits.X_train, digits.y_train)
    label = f"autoencoder, {len(sizes) * len(rates) * FOLDS} fits"
    fit_watched(autoencoder, digits.X_train, digits.y_train, label)
    print_search(pca, autoencoder)
    print_best(pca, autoencoder, digits)


def print_search(pca, autoencoder):
    """Print the mean accuracy of every candidate as a table, and who is ahead."""
    print()
    say(
        f"Accuracy on training images left out of the fit, mean of {FOLDS} folds, for each size "
        "of the code:"
    )
    rows = {"PCA": scores(pca)}
    for rate in SEARCHED_RATES:
        rows[f"autoencoder, learning_rate={rate:g}"] = scores(autoencoder, learning_rate=rate)
    table(
        ["size of the code", *SEARCHED_SIZES],
        [[label, *(f"{row[size]:.1%}" for size in SEARCHED_SIZES)] for label, row in rows.items()],
    )
    first, *others = rows.values()
    best = {size: max(row[size] for row in others) for size in SEARCHED_SIZES}
    say(
        "With the better of the learning rates: "
        + verdict({"accuracy": {size: (first[size], best[size]) for size in SEARCHED_SIZES}})
    )


def scores(found, **fixed):
    """Return {size: mean score} of the candidates that have these parameters."""
    fixed = {f"reduce__{name}": value for name, value in fixed.items()}
    results = zip(found.cv_results_["params"], found.cv_results_["mean_test_score"], strict=True)
    return {
        candidate["reduce__n_components"]: float(score)
        for candidate, score in results
        if fixed.items() <= candidate.items()
    }


def print_best(pca, autoencoder, digits):
    """Print how the best candidates do on the held-out images."""
    say("The best of each, fitted again on all training images, on the held-out ones:")
    rows = []
    for name, found in (("PCA", pca), ("autoencoder", autoencoder)):
        result = evaluate(found.best_estimator_, digits)
        chosen = ", ".join(
            f"{parameter.removeprefix('reduce__')}={value:g}"
            for parameter, value in sorted(found.best_params_.items(), reverse=True)
        )
        rows.append([name, f"{result.error:.2f}", f"{result.accuracy:.1%}", chosen])
    table(["", "reconstruction error", "accuracy", "parameters"], rows)


# The picture


def draw(figure, digits, results):
    """Draw reconstructions above, the codes of two numbers below."""
    above, below = figure.subfigures(2, 1, height_ratios=(3, 5))
    draw_reconstructions(above, digits, results[DRAWN_SIZE])
    draw_codes(below, digits, results[2])


def draw_reconstructions(figure, digits, pair):
    """Draw one held-out image of each digit, as it is and as both restore it."""
    rows = [int(np.flatnonzero(digits.y_test == digit)[0]) for digit in range(10)]
    images = digits.X_test[rows]
    lines = [("original", images)]
    for name, result in zip(("PCA", "autoencoder"), pair, strict=True):
        restored = result.reducer.inverse_transform(result.reducer.transform(images))
        lines.append((f"{name}\nerror {result.error:.1f}", restored))
    axes = figure.subplots(len(lines), 10)
    for line, (label, pictures) in zip(axes, lines, strict=True):
        for ax, picture in zip(line, pictures, strict=True):
            ax.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    figure.suptitle(
        f"Held-out digits, restored from a code of {DRAWN_SIZE} numbers (error: over all "
        f"{len(digits.X_test)})",
        weight="bold",
    )


def draw_codes(figure, digits, pair):
    """Draw the held-out images as points of the plane, coloured by digit."""
    axes = figure.subplots(1, 2)
    for ax, name, result in zip(axes, ("PCA", "autoencoder"), pair, strict=True):
        code = result.reducer.transform(digits.X_test)
        for digit in range(10):
            rows = digits.y_test == digit
            ax.scatter(*code[rows].T, s=14, color=f"C{digit}", label=str(digit))
        ax.set(xlabel="first number of the code", ylabel="second number of the code")
        ax.set_title(f"{name}\nerror {result.error:.1f}, accuracy {result.accuracy:.1%}")
    figure.suptitle(
        f"All {len(digits.X_test)} held-out digits as codes of two numbers", weight="bold"
    )
    figure.legend(*axes[0].get_legend_handles_labels(), title="digit", loc="outside right center")
