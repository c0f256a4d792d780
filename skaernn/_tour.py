"""What ``python -m skaernn`` shows, room by room, on real data.

Everything is done through public interfaces, so the rooms are examples as well: `_tour_digits`,
`_tour_family`, `_tour_vowels` and `_tour_co2`.
"""

import time

from . import _tour_co2, _tour_digits, _tour_family, _tour_vowels
from ._tour_words import heading, installed, say


def run(*, device, picture):
    """Print the tour, and draw its pictures where matplotlib is installed.

    Parameters
    ----------
    device : str
        Where networks are trained.
    picture : Path
        Of the first picture; the others are beside it.
    """
    start = time.perf_counter()
    digits = _tour_digits.visit(device)
    family = _tour_family.visit(digits[0], device)
    vowels = _tour_vowels.visit(device)
    co2 = _tour_co2.visit(device)
    show_pictures(digits, family, vowels, co2, picture)
    say(
        f"Done in {time.perf_counter() - start:.0f} s. To go on from here: "
        "help(skaernn.AutoencoderTransformer), help(skaernn.VariationalAutoencoderTransformer), "
        "help(skaernn.RNNSequenceClassifier), "
        "help(skaernn.RNNSequenceRegressor)"
    )


def show_pictures(digits, family, vowels, co2, path):
    """Draw the pictures, or say how to get them."""
    heading("The pictures")
    if not installed("matplotlib"):
        say('There are none without matplotlib: pip install "skaernn[plot]"')
        return
    from matplotlib.figure import Figure  # no pyplot: no window, no global state

    figure = Figure(figsize=(10, 9), layout="constrained")
    _tour_digits.draw(figure, *digits)
    figure.savefig(path, dpi=120)
    say(f"Held-out digits before and after, and their codes of two numbers: {path}")

    beside = path.with_stem(f"{path.stem}_family")
    figure = Figure(figsize=(10, 5), layout="constrained")
    _tour_family.draw(figure, family)
    figure.savefig(beside, dpi=100)
    say(f"Digits without their noise, new ones, and some between two: {beside}")

    beside = path.with_stem(f"{path.stem}_sequences")
    figure = Figure(figsize=(10, 9), layout="constrained")
    above, below = figure.subfigures(2, 1)
    _tour_co2.draw(above, *co2)
    _tour_vowels.draw(below, *vowels)
    figure.savefig(beside, dpi=120)
    say(f"A year of CO2 as it was forecast, and who was taken for whom: {beside}")
