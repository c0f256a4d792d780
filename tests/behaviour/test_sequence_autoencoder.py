"""What SequenceAutoencoderTransformer's docstring says it does."""

import numpy as np
import pytest
import sklearn
import torch
from sequence_autoencoder_variants import data, make
from sequence_variants import padded
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skaernn import SequenceAutoencoderTransformer, sliding_windows

RAGGED = data()
LENGTHS = np.array([len(x) for x in RAGGED])
EVEN = np.random.default_rng(0).normal(size=(20, 5, 2))


@pytest.fixture(scope="module")
def sines():
    """Waves of many frequencies and phases: two numbers each, that no linear code can hold."""
    generator = np.random.default_rng(0)
    frequency, phase = generator.uniform([0.2, 0], [0.6, 6.28], (200, 2)).T[..., None]
    return np.sin(frequency * np.arange(20) + phase)[..., None]


@pytest.fixture(scope="module")
def fitted_sines(sines):
    how = {"cell": "lstm", "batch_size": 50, "max_iter": 60, "random_state": 0}
    return SequenceAutoencoderTransformer(3, 16, **how).fit(sines)


class TestLearning:
    def test_far_better_than_the_means_and_than_pca(self, sines, fitted_sines):
        flat = sines[..., 0]
        pca = PCA(3).fit(flat)
        linear = pca.inverse_transform(pca.transform(flat))
        explained = 1 - ((linear - flat) ** 2).sum() / ((flat - flat.mean()) ** 2).sum()
        assert 1 - fitted_sines.score(sines) < 0.5 * (1 - explained)

    def test_halfway_between_two_codes_lies_a_sequence_between(self, sines, fitted_sines):
        codes = fitted_sines.transform(sines[:40])
        begin, end = codes[:-1], codes[1:]
        ways = [fitted_sines.inverse_transform(begin + s * (end - begin)) for s in (0, 0.5, 1)]
        assert np.abs(ways[1]).max() < 1.5
        # no jump: the middle is not further from the ends than these are from each other
        apart = ((ways[2] - ways[0]) ** 2).mean(axis=(1, 2))
        for part in (ways[0], ways[2]):
            assert np.median(((ways[1] - part) ** 2).mean(axis=(1, 2)) / apart) < 1

    def test_a_strange_sequence_scores_low(self, sines, fitted_sines):
        strange = np.random.default_rng(1).permuted(sines[:20], axis=1)
        usual, odd = (np.median(fitted_sines.score_samples(X)) for X in (sines, strange))
        assert odd < 10 * usual < 0

    @pytest.mark.parametrize(("cell", "max_iter"), [("rnn", 30), ("gru", 60)])
    def test_other_cells_learn_too(self, sines, cell, max_iter):
        how = {"n_components": 3, "hidden_size": 16, "batch_size": 50}
        models = [make(cell=cell, max_iter=max_iter, random_state=i, **how) for i in range(3)]
        assert np.mean([model.fit(sines).score(sines) for model in models]) > 0.75

    def test_codes_before_a_classifier(self):
        generator = np.random.default_rng(0)
        y = np.arange(60) % 2
        X = [np.cumsum(generator.normal(0.5 * s, 1, (n, 1)), axis=0)
             for s, n in zip(2 * y - 1, generator.integers(8, 15, 60), strict=True)]  # fmt: skip
        code = make(hidden_size=8, max_iter=30)
        model = make_pipeline(code, LogisticRegression())
        assert cross_val_score(model, X, y, cv=3).mean() > 0.8


class TestForms:
    def test_an_array_comes_back_as_an_array(self):
        model = make().fit(EVEN)
        assert model.n_steps_ == 5
        codes = model.transform(EVEN)
        assert model.inverse_transform(codes).shape == EVEN.shape
        assert model.inverse_transform(codes[:2], lengths=[3, 7]).shape == (2, 7, 2)
        assert not model.inverse_transform(codes[:2], lengths=[3, 7])[0, 3:].any()
        assert model.sample(4, 0).shape == (4, 5, 2)
        assert model.sample(2, 0, lengths=[1, 2]).shape == (2, 2, 2)

    def test_rows_come_back_as_rows(self):
        rows = EVEN.reshape(20, 10)
        model = make(n_channels=2).fit(rows)
        codes = model.transform(rows)
        again = model.inverse_transform(codes)
        assert again.shape == rows.shape
        expected = make().fit(EVEN).inverse_transform(codes)
        np.testing.assert_array_equal(again.reshape(EVEN.shape), expected)
        short = model.inverse_transform(codes, lengths=np.full(20, 4))
        assert short.shape == rows.shape
        np.testing.assert_array_equal(short[:, :8], again[:, :8])
        assert not short[:, 8:].any()
        with pytest.raises(ValueError, match=r"lengths\[0\] is 6; expected 1 to 5, the steps of"):
            model.inverse_transform(codes[:1], lengths=[6])

    def test_a_list_comes_back_as_arrays_of_their_own_lengths(self):
        model = make().fit(RAGGED)
        again = model.inverse_transform(model.transform(RAGGED), lengths=LENGTHS)
        assert again.dtype == object
        assert [x.shape for x in again] == [x.shape for x in RAGGED]
        even = make().fit(list(EVEN))
        assert [x.shape for x in even.sample(2, 0)] == [(5, 2)] * 2

    def test_unequal_lengths_have_to_be_said(self):
        model = make().fit(RAGGED)
        assert model.n_steps_ is None
        with pytest.raises(ValueError, match="unequal lengths: pass lengths"):
            model.inverse_transform(model.transform(RAGGED))
        with pytest.raises(ValueError, match="unequal lengths: pass lengths"):
            model.sample(3)
        even = make().partial_fit(EVEN)
        assert even.n_steps_ == 5
        assert even.partial_fit(EVEN).n_steps_ == 5
        assert even.partial_fit(EVEN[:, :3]).n_steps_ is None

    def test_overlapping_windows_are_sequences_like_any(self):
        windows, _ = sliding_windows(np.sin(np.arange(60.0)), window=8)
        model, copied = make().fit(windows), make().fit(windows.copy())
        np.testing.assert_array_equal(model.transform(windows), copied.transform(windows.copy()))
        assert model.score(windows) == copied.score(windows.copy())
        np.testing.assert_array_equal(
            model.reconstruction_error(windows), copied.reconstruction_error(windows.copy())
        )

    def test_other_lengths_than_in_fit(self):
        model = make().fit(EVEN)
        assert model.transform(EVEN[:, :2]).shape == (20, 2)
        assert model.reconstruction_error(RAGGED).shape == (24,)

    def test_fit_transform(self):
        weight = np.arange(24.0)
        array, lengths = padded(RAGGED, 0.0)
        model = make()
        codes = model.fit_transform(array, sample_weight=weight, lengths=lengths)
        other = make().fit(RAGGED, sample_weight=weight)
        np.testing.assert_array_equal(codes, other.transform(RAGGED))
        stopped = make(early_stopping=True).fit_transform(RAGGED, X_val=RAGGED[:9])
        expected = make(early_stopping=True).fit(RAGGED, X_val=RAGGED[:9])
        np.testing.assert_array_equal(stopped, expected.transform(RAGGED))


class TestNumbers:
    @pytest.mark.parametrize("bidirectional", [False, True])
    @pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
    def test_the_module_gives_the_same(self, cell, bidirectional):
        model = make(cell=cell, n_layers=2, bidirectional=bidirectional).fit(RAGGED)
        array, lengths = padded(RAGGED, 0.0)
        with torch.inference_mode():
            tensors = torch.tensor(array), torch.tensor(lengths)
            codes, again = model.module_.encode(*tensors), model.module_(*tensors).numpy()
        # a few dozen roundings of numbers around one
        np.testing.assert_allclose(model.transform(RAGGED), codes, rtol=1e-10, atol=1e-12)
        found = model.inverse_transform(codes.numpy(), lengths=lengths)
        for row, expected, n in zip(found, again, lengths, strict=True):
            np.testing.assert_allclose(row, expected[:n], rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize(
        ("loss", "error"),
        [
            ("squared_error", lambda x, z: (x - z) ** 2),
            ("absolute_error", lambda x, z: np.abs(x - z)),
            ("huber", lambda x, z: np.where(np.abs(x - z) < 1, (x - z) ** 2 / 2,
                                            np.abs(x - z) - 1 / 2)),
            ("binary_cross_entropy", lambda x, z: -x * np.log(z) - (1 - x) * np.log(1 - z)),
            ("poisson", lambda x, z: 2 * (x * np.log(x / z) - x + z)),
        ],
    )  # fmt: skip
    def test_reconstruction_error(self, loss, error):
        X = data({"loss": loss})
        model = make(loss=loss)
        if loss not in ("binary_cross_entropy", "poisson"):
            X = [x * [3.0, 0.1] for x in X]
        model.fit(X)
        again = model.inverse_transform(model.transform(X), lengths=LENGTHS)
        scale, power = np.ones(2), {"absolute_error": 1}.get(loss, 2)
        if model.scaling_ == "standard":  # errors are weighed as the loss was
            scale = np.concatenate(X).std(axis=0)
        errors = [error(x / scale, z / scale) for x, z in zip(X, again, strict=True)]
        expected = [e.mean() for e in errors]
        np.testing.assert_allclose(model.reconstruction_error(X), expected, rtol=1e-9)
        raw = [(e * scale**power).mean() for e in errors]
        found = model.reconstruction_error(X, raw_units=True)
        np.testing.assert_allclose(found, raw, rtol=1e-9)
        np.testing.assert_array_equal(model.score_samples(X), -model.reconstruction_error(X))

    def test_score_is_r2_over_all_steps(self):
        model = make().fit(RAGGED)
        again = model.inverse_transform(model.transform(RAGGED), lengths=LENGTHS)
        weight = np.random.default_rng(0).integers(0, 3, 24)
        how = {"multioutput": "variance_weighted"}
        x, z = np.concatenate(RAGGED), np.concatenate(list(again))
        x, z = x / x.std(axis=0), z / x.std(axis=0)  # as the loss weighs channels
        assert model.score(RAGGED) == pytest.approx(r2_score(x, z, **how))
        expected = r2_score(x, z, sample_weight=np.repeat(weight, LENGTHS), **how)
        assert model.score(RAGGED, sample_weight=weight) == pytest.approx(expected)

    def test_score_without_variance_and_of_huge_numbers(self):
        constant = np.full((6, 4, 1), 3.0)
        model = make().fit(constant)
        assert model.score(constant) == 1.0
        assert model.score(constant + 1) == 0.0
        scores = [make().fit(EVEN * unit).score(EVEN * unit) for unit in (1.0, 1e200)]
        assert scores[1] == pytest.approx(scores[0])

    def test_moments_of_the_codes(self):
        weight = np.random.default_rng(0).integers(0, 3, 24)
        model = make(dropout=0.3).fit(RAGGED, sample_weight=weight)
        codes = model.transform(RAGGED)
        mean = np.average(codes, axis=0, weights=weight)
        covariance = np.cov(codes.T, aweights=weight, bias=True)
        np.testing.assert_allclose(model.code_mean_, mean, rtol=1e-9)
        np.testing.assert_allclose(model.code_covariance_, covariance, rtol=1e-9)
        one, two = (model.sample(3, random_state=5, lengths=[4] * 3) for _ in range(2))
        np.testing.assert_array_equal(np.stack(one), np.stack(two))

    def test_training_loss_is_the_mean_over_steps(self):
        """Half the squared error summed over channels, in scaled units, at the weights kept."""
        model = make(max_iter=1, learning_rate=1e-12).fit(RAGGED)
        again = model.inverse_transform(model.transform(RAGGED), lengths=LENGTHS)
        x, z = np.concatenate(RAGGED), np.concatenate(list(again))
        expected = 0.5 * (((x - z) / x.std(axis=0)) ** 2).sum(axis=1).mean()
        assert model.loss_ == pytest.approx(expected)


class TestRefusals:
    def test_losses_on_x_as_it_is_refuse_scaling(self):
        X = data({"loss": "binary_cross_entropy"})
        with pytest.raises(ValueError, match=r"needs scaling=None \(or 'auto'\), got 'standard'"):
            make(loss="binary_cross_entropy", scaling="standard").fit(X)
        model = make(loss="binary_cross_entropy")
        with pytest.raises(ValueError, match=r"needs X to be in \[0, 1\], but it lies in \[-"):
            model.fit(RAGGED)
        model.fit(X)
        with pytest.raises(ValueError, match=r"needs X to be in \[0, 1\]"):
            model.reconstruction_error(RAGGED)
        values = np.concatenate(list(model.sample(9, 0, lengths=[5] * 9)))
        assert 0 < values.min() < values.max() < 1

    @pytest.mark.parametrize(
        ("lengths", "message"),
        [
            ([5], r"shape \(1,\); expected \(20,\)"),
            ([0] * 20, r"lengths\[0\] is 0; expected 1 or more"),
            ([2.5] * 20, "whole numbers"),
            ([True] * 20, "whole numbers"),
        ],
    )
    def test_lengths_of_codes(self, lengths, message):
        model = make().fit(EVEN)
        with pytest.raises(ValueError, match=message):
            model.inverse_transform(model.transform(EVEN), lengths=lengths)

    def test_codes_of_another_size(self):
        with pytest.raises(ValueError, match=r"X has 3 columns, .* expected 2 components"):
            make().fit(EVEN).inverse_transform(np.zeros((1, 3)))

    @pytest.mark.parametrize("n_samples", [0, 1.5, True, "2"])
    def test_number_of_samples(self, n_samples):
        with pytest.raises(ValueError, match="n_samples must be a positive int"):
            make().fit(EVEN).sample(n_samples)

    @pytest.mark.parametrize(
        "method", ["transform", "inverse_transform", "score", "reconstruction_error"]
    )
    def test_before_fit(self, method):
        with pytest.raises(sklearn.exceptions.NotFittedError):
            getattr(make(), method)(EVEN)
        with pytest.raises(sklearn.exceptions.NotFittedError):
            make().sample()

    def test_a_network_beyond_all_memory(self):
        with pytest.raises(MemoryError, match="smaller hidden_size, n_layers or n_components"):
            make(hidden_size=10_000_000).fit(EVEN)

    def test_partial_fit_is_absent_where_it_makes_no_sense(self):
        assert not hasattr(make(early_stopping=True), "partial_fit")
        assert not hasattr(make(solver="lbfgs"), "partial_fit")

    def test_padding_read_as_steps_is_warned_of(self):
        array, lengths = padded(RAGGED, 0.0)
        model = make().fit(array, lengths=lengths)
        with pytest.warns(UserWarning, match="fitted with lengths and is used without"):
            model.transform(array)


class TestEcosystem:
    def test_a_search_needs_no_scorer(self):
        search = GridSearchCV(make(), {"n_components": [1, 2]}, cv=2, error_score="raise")
        search.fit(RAGGED)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert search.transform(RAGGED).shape[0] == 24

    def test_names_and_frames_of_codes(self):
        model = make(n_components=3).set_output(transform="pandas").fit(EVEN)
        names = [f"sequenceautoencodertransformer{i}" for i in range(3)]
        assert model.get_feature_names_out().tolist() == names
        assert list(model.transform(EVEN).columns) == names
        assert list(model.fit_transform(EVEN).columns) == names

    def test_lengths_and_weights_are_routed(self):
        array, lengths = padded(RAGGED, 0.0)
        weight = np.arange(24.0)
        y = np.arange(24) % 2
        expected = make().fit(RAGGED, sample_weight=weight)
        with sklearn.config_context(enable_metadata_routing=True):
            code = make().set_fit_request(sample_weight=True, lengths=True)
            code.set_transform_request(lengths=True)
            classifier = LogisticRegression().set_fit_request(sample_weight=False)
            model = make_pipeline(code, classifier)
            model.fit(array, y, sample_weight=weight, lengths=lengths)
            found = model[0].transform(array, lengths=lengths)
            np.testing.assert_array_equal(found, expected.transform(RAGGED))
            answers = model.predict(array, lengths=lengths)
            np.testing.assert_array_equal(answers, model[1].predict(found))
            code.set_score_request(lengths=True, sample_weight=False)
            code.set_inverse_transform_request(lengths=True)
            search = GridSearchCV(code, {"n_components": [2]}, cv=2, error_score="raise")
            search.fit(array, sample_weight=weight, lengths=lengths)
            assert np.isfinite(search.best_score_)
