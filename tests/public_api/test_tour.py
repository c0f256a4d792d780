"""Does the tour forecast without a look at the answer, and speak where nothing is installed?"""

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.utils import Bunch

from skaernn import RNNSequenceRegressor
from skaernn._tour import co2 as co2_room
from skaernn._tour import digits as digits_room
from skaernn._tour import family as family_room
from skaernn._tour import tour
from skaernn._tour import vowels as vowels_room
from skaernn._tour import words as words_room

YEAR = co2_room.YEAR


def _series(n_years=9):
    rng = np.random.default_rng(0)
    week = np.arange(n_years * YEAR)
    data = 0.03 * week + 3 * np.sin(week * 2 * np.pi / YEAR) + rng.normal(size=len(week)) / 5
    return Bunch(data=data, dates=np.datetime64("2000-01-01") + 7 * week)


def _models():
    lstm = RNNSequenceRegressor("lstm", 4, n_channels=YEAR, max_iter=2, random_state=0)
    return {"ridge": Ridge(1.0), "LSTM": lstm}


def test_windows_stand_on_their_last_value():
    co2 = _series()
    X, y = co2_room.relative_windows(co2.data)
    assert X.shape[1] == co2_room.WINDOW
    level = co2.data[co2_room.WINDOW - 1]
    np.testing.assert_array_equal(X[0], co2.data[: co2_room.WINDOW] - level)
    np.testing.assert_array_equal(y[0], co2.data[co2_room.WINDOW :][:YEAR] - level)


def test_naive_forecasts():
    series = np.arange(3.0 * YEAR)
    np.testing.assert_array_equal(co2_room.last_year(series), series[-YEAR:])
    np.testing.assert_array_equal(co2_room.last_year_and_growth(series), series[-YEAR:] + YEAR)


def test_last_forecast_sees_nothing_of_its_year():
    co2 = _series()
    begin = len(co2.data) - 2 * YEAR
    walk = co2_room.walk_forward(co2, begin, _models())
    other = Bunch(data=co2.data.copy(), dates=co2.dates)
    other.data[-YEAR:] = 1e3
    blind = co2_room.walk_forward(other, begin, _models())
    for name, forecast in walk.last.items():
        np.testing.assert_array_equal(forecast, blind.last[name], err_msg=name)


def test_walk_forecasts_every_fourth_week_until_the_last_year():
    co2 = _series()
    walk = co2_room.walk_forward(co2, len(co2.data) - 2 * YEAR, _models())
    assert [len(squares) for squares in walk.squares["LSTM"]] == [13, 1]
    truth = co2.data[-YEAR:]
    for name, squares in walk.squares.items():
        np.testing.assert_array_equal(squares[-1][0], (walk.last[name] - truth) ** 2)


def test_folds_leave_a_year_between_what_is_learnt_and_what_is_forecast():
    X = np.zeros((1700, 1))
    for train, test in co2_room.splits().split(X):
        assert test.min() - train.max() >= YEAR


def test_flattened_utterances_end_in_zeros():
    rows = vowels_room.flatten([np.ones((2, 12)), np.full((29, 12), 2.0)])
    assert rows.shape == (2, 29 * 12)
    assert rows.sum(axis=1).tolist() == [24.0, 696.0]
    assert (rows[0, :24] == 1).all()


@pytest.mark.parametrize(("lstm", "word"), [(0.5, "ahead of both"), (0.7, "ridge is the one")])
def test_forecasts_are_judged_by_their_errors(lstm, word):
    assert word in co2_room.verdict(ridge=0.6, lstm=lstm, naive=1.0)


@pytest.mark.parametrize(
    ("together", "words"), [(0.99, "ahead of"), (0.95, "behind"), (0.97, "level with")]
)
def test_classifiers_are_judged_by_what_they_found(together, words):
    assert words in vowels_room.verdict(0.97, [0.96, 0.97], together, 100)


def test_tables_without_rich_are_plain_text(monkeypatch, capsys):
    monkeypatch.setattr(words_room, "installed", lambda *names: False)
    words_room.table(["name", "score"], [["a", 1.5], ["longer", 10]])
    header, rule, *rows = capsys.readouterr().out.splitlines()
    assert header == "  name    score"
    assert rule == "  ------  -----"
    assert rows == ["  a         1.5", "  longer     10", ""]


def test_tables_by_rich_take_cells_as_they_are(capsys):
    words_room.table(["name", "score"], [["[bold]", "[1, 2]"]])
    shown = capsys.readouterr().out
    assert "[bold]" in shown
    assert "[1, 2]" in shown


def test_pictures_are_missed_in_words(monkeypatch, capsys):
    monkeypatch.setattr(tour, "installed", lambda *names: False)
    tour.show_pictures((), (), (), (), Path("nowhere.png"))
    assert "skaernn[plot]" in capsys.readouterr().out


@pytest.fixture(scope="module")
def digits():
    return digits_room.Digits(*digits_room.load())


def test_areas_are_one_for_who_knows_what_is_strange(digits):
    truth = {
        image.tobytes(): label for image, label in zip(digits.X_test, digits.y_test, strict=True)
    }

    def knows(X):  # a detector that cannot be better
        return np.array([truth.get(x.tobytes(), family_room.STRANGE) != 3 for x in X], float)

    assert family_room.areas(knows, digits) == ("1.000", "1.000")


def test_line_between_two_digits_ends_at_their_reconstructions(digits):
    pca = PCA(4).fit(digits.X_train)
    images = family_room.interpolate(pca, digits)
    assert images.shape == (family_room.DRAWN, 64)
    for image, digit in ((images[0], 0), (images[-1], 1)):
        first = digits.X_test[digits.y_test == digit][:1]
        np.testing.assert_allclose(image, pca.inverse_transform(pca.transform(first))[0])


def test_family_room_prints_its_measures_and_draws(digits, monkeypatch, capsys, tmp_path):
    from matplotlib.figure import Figure

    monkeypatch.setattr(family_room, "EPOCHS", 2)
    family = family_room.visit(digits, "cpu")
    shown = capsys.readouterr().out
    for words in ("denoising autoencoder", "tighter bound", "never seen", "shuffled pixels"):
        assert words in shown
    clean, restored = family.clean, family.denoised
    assert np.mean((restored - clean) ** 2) < np.mean((family.noisy - clean) ** 2)
    figure = Figure()
    family_room.draw(figure, family)
    assert len(figure.axes) == 5 * family_room.DRAWN
    figure.savefig(tmp_path / "family.png")
