"""Words in: token numbers that are embedded, in every form, company and course of training."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from own_cells import wrapped_gru
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from torch import nn

from skaernn import RNNSequenceClassifier, RNNSequenceRegressor, SequenceVectorizer, Stream
from skaernn._inputs.sequences import check_sequences
from skaernn._inputs.tokens import as_tokens
from skaernn.networks import CELLS, POOLINGS

N_TOKENS = 15


def tokens(n=30, seed=0, longest=10):
    rng = np.random.default_rng(seed)
    X = [rng.integers(0, N_TOKENS, rng.integers(1, longest)) for _ in range(n)]
    X[0][0] = N_TOKENS - 1
    return X


X = tokens()
Y = np.array([float((x == 3).sum() - len(x)) for x in X])
LABELS = np.where([(x > 7).sum() > len(x) / 2 for x in X], "b", "a")
LENGTHS = np.array([len(x) for x in X])

ENTRIES = [
    *[pytest.param({"cell": cell}, id=cell) for cell in CELLS],
    *[pytest.param({"pooling": pooling}, id=pooling) for pooling in POOLINGS],
    pytest.param({"n_layers": 2, "cell": "gru"}, id="layers"),
    pytest.param({"bidirectional": True, "pooling": "mean"}, id="both directions"),
    pytest.param({"cell": wrapped_gru}, id="own"),
    pytest.param({"n_members": 2}, id="members"),
    pytest.param({"linear_path": False}, id="no bag"),
    pytest.param({"linear_path": "pooled", "n_layers": 2, "pooling": "mean"}, id="bag"),
    pytest.param({"dropout": 0.3, "n_layers": 2}, id="dropout"),
    pytest.param({"solver": "lbfgs"}, id="lbfgs"),
    pytest.param({"solver": "sgd", "input_skip": False}, id="sgd"),
    pytest.param({"early_stopping": True, "validation_fraction": 0.3}, id="early stopping"),
    pytest.param({"batch_size": 8, "dtype": "float64"}, id="batches"),
    pytest.param({"alpha": 0.1, "weight_decay": 0.1, "schedule": "constant"}, id="decay"),
]
EACH = pytest.mark.parametrize("more", ENTRIES)


SMALL = {"embedding_size": 4, "hidden_size": 5, "max_iter": 3, "tol": 0, "random_state": 0}


def regressor(**more):
    return RNNSequenceRegressor(**{**SMALL, **more})


def classifier(**more):
    return RNNSequenceClassifier(**{**SMALL, **more})


def padded(X, value=0, dtype=np.int64, n_steps=12):
    array = np.full((len(X), n_steps), value, dtype=dtype)
    for row, x in zip(array, X, strict=True):
        row[: len(x)] = x
    return array


def bits(model):
    weights = [member.module_.state_dict() for member in model.members_]
    return [value.numpy().tobytes() for part in weights for value in part.values()]


class TestForms:
    @EACH
    def test_all_forms_give_the_same_bits(self, more):
        model = regressor(**more).fit(X, Y)
        expected = model.predict(X)
        array = padded(X)
        forms = {
            "floats": ([x.astype(np.float32) for x in X], None),
            "lists": ([x.tolist() for x in X], None),
            "columns": ([x[:, None].astype(np.int16) for x in X], None),
            "tensors": ([torch.tensor(x) for x in X], None),
            "NaN": (padded(X, np.nan, float)[..., None], None),
            "lengths": (array[..., None], LENGTHS),
            "rows": (array.astype(np.uint8), LENGTHS),
            "rows with NaN": (padded(X, np.nan, np.float32), None),
            "whatever is beyond": (padded(X, -7)[..., None], LENGTHS),
        }
        for name, (form, lengths) in forms.items():
            again = clone(model).fit(form, Y, lengths=lengths)
            assert again.n_tokens_ == N_TOKENS, name
            assert (again.predict(form, lengths=lengths) == expected).all(), name
            assert bits(again) == bits(model), name

    def test_number_of_features_and_tokens(self):
        assert regressor().fit(X, Y).n_features_in_ == 1
        model = regressor().fit(padded(X), Y)
        assert (model.n_features_in_, model.n_tokens_) == (12, N_TOKENS)
        assert regressor(embedding_size=None).fit(padded(X)[..., None] + 0.5, Y).n_tokens_ is None

    @pytest.mark.parametrize("dtype", [None, "float32", "float64"])
    @pytest.mark.parametrize("given", [np.float32, np.float64, int])
    def test_what_is_computed_in_is_what_answers_are(self, dtype, given):
        data = [x.astype(given) for x in X]
        model = regressor(dtype=dtype).fit(data, Y)
        computing = dtype or "float32"
        answer, state = model.predict(data, return_state=True)
        assert answer.dtype == state.dtype == computing
        assert all(p.dtype == getattr(torch, computing) for p in model.module_.parameters())
        assert (model.predict([x.astype(np.float64) for x in data]) == answer).all()

    @pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.float64, object])
    def test_numbers_that_single_precision_cannot_hold(self, dtype):
        """16 777 217 is 16 777 216 in float32."""
        large = 2**24 + 1
        known = np.ones(large + 1, dtype=bool)
        for data in ([np.array([large, 1], dtype)], np.array([[[large], [1]]], dtype)):
            found = as_tokens(check_sequences(regressor(), data), known, "X")
            assert found.steps.tolist() == [[large], [1]]

    def test_texts_that_happen_to_be_equally_long(self):
        for data in ([[1, 2], [3, 4]], [np.array([1, 2]), np.array([3, 4])]):
            model = regressor().fit(data, [0.0, 1.0])
            assert model.n_features_in_ == 1
            assert model.predict([[1, 2, 3]]).shape == (1,)  # longer
            assert model.predict([[1], [4]]).shape == (2,)  # of one word
            assert (model.predict([[3, 4]]) == model.predict(data)[1]).all()

    def test_every_step_has_its_answer(self):
        y = [np.where(x > 7, "b", "a") for x in X]
        model = classifier(return_sequences=True, max_iter=60, learning_rate=0.1).fit(X, y)
        assert model.score(X, y) == 1.0
        array = padded(X)[..., None]
        found = model.predict(array, lengths=LENGTHS)
        for row, answer in zip(found, y, strict=True):
            assert (row[: len(answer)] == answer).all()


class TestAnswers:
    @EACH
    def test_neither_company_nor_padding_matters(self, more):
        model = classifier(**more).fit(X, LABELS)
        whole = model.predict_proba(X)
        for i in (0, 7, 29):
            assert (model.predict_proba([X[i]]) == whole[i]).all()
            wide = padded([X[i]], 1, n_steps=40)[..., None]
            assert (model.predict_proba(wide, lengths=[len(X[i])]) == whole[i]).all()
        assert (model.predict_proba(X[::-1]) == whole[::-1]).all()

    def test_a_few_tokens_at_a_time(self, monkeypatch):
        model = regressor(return_sequences=True).fit(X, [np.cos(x) for x in X])
        expected, state = model.predict(X, return_state=True)
        monkeypatch.setattr("skaernn._inference.sequences._TOKENS", 16)
        parts, again = model.predict(X, return_state=True)
        assert (np.concatenate(parts) == np.concatenate(expected)).all()
        assert (again == state).all()

    @pytest.mark.parametrize("path", ["auto", False])
    @pytest.mark.parametrize("pooling", [None, *POOLINGS])
    @pytest.mark.parametrize("cell", CELLS)
    def test_cut_anywhere(self, cell, pooling, path):
        per_step = pooling is None
        array = np.random.default_rng(0).integers(0, N_TOKENS, (6, 9, 1))
        y = np.cos(array[..., 0]) if per_step else np.cos(array[:, 0, 0])
        how = {"pooling": pooling or "last", "return_sequences": per_step}
        model = regressor(cell=cell, n_layers=2, linear_path=path, **how).fit(array, y)
        whole, end = model.predict(array, return_state=True)
        assert end.shape == (6, model.state_size_)
        for cut in (1, 5, 8):
            first, state = model.predict(array[:, :cut], return_state=True)
            second, last = model.predict(array[:, cut:], initial_state=state, return_state=True)
            found = np.concatenate([first, second], axis=1) if per_step else second
            assert (found == whole).all()
            assert (last == end).all()

    @pytest.mark.parametrize("n_members", [1, 2])
    @pytest.mark.parametrize("path", ["auto", False])
    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_streams(self, pooling, path, n_members):
        array = np.random.default_rng(0).integers(0, N_TOKENS, (6, 9, 1))
        model = regressor(pooling=pooling, n_members=n_members, linear_path=path)
        model.fit(array, array[:, 0, 0])
        stream = Stream(model, n_streams=6)
        for t in range(9):
            answers = stream.push(array[:, t])
        assert (answers == model.predict(array)).all()
        more = stream.push(array[[1, 4], 0], ids=[1, 4])
        longer = np.concatenate([array, array[:, :1]], axis=1)
        expected, ended = model.predict(longer, return_state=True)
        assert (more == expected[[1, 4]]).all()
        assert (stream.states[[1, 4]] == ended[[1, 4]]).all()
        assert stream.push(np.empty((0, 1)), ids=[]).shape == (0,)
        assert (pickle.loads(pickle.dumps(stream)).states == stream.states).all()
        assert (stream.states[0] == model.predict(array[:1], return_state=True)[1]).all()
        stream.reset([0])
        assert not stream.states[0].any()
        assert stream.push([[3]], ids=[0]) == model.predict([[3]])
        before = stream.states.copy()
        for wrong, words in ((N_TOKENS, "not there in fit"), (0.5, "whole"), (np.nan, "whole")):
            with pytest.raises(ValueError, match=words + r"|x has nan in sequence 2"):
                stream.push([[1], [1], [wrong], [1], [1], [1]])
        assert (stream.states == before).all()

    @pytest.mark.parametrize("pooling", POOLINGS)
    @pytest.mark.parametrize(
        "how",
        [{}, {"bidirectional": True}, {"n_members": 2}, {"linear_path": False}],
        ids=str,
    )
    def test_module_alone(self, pooling, how):
        model = classifier(pooling=pooling, dtype="float64", **how).fit(X, LABELS)
        member = model.module_.members[0] if how.get("n_members") else model.module_
        assert isinstance(member.embedding, nn.Embedding)
        assert member.embedding.weight.shape == (N_TOKENS, 4)
        expected = model.predict_proba(X)
        for data in (padded(X), padded(X, np.nan, float), padded(X, -1)[..., None]):
            with torch.inference_mode():
                found = model.module_(torch.from_numpy(data), torch.from_numpy(LENGTHS))
            # sums in another order
            np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_edited_table_is_used(self):
        model = regressor().fit(X, Y)
        before = model.predict(X)
        with torch.no_grad():
            model.module_.embedding.weight[3] += 1
        with_three = np.array([3 in x for x in X])
        assert ((model.predict(X) != before) == with_three).all()


class TestUnknown:
    def test_has_no_say_where_fit_had_none(self):
        known = [x + 1 for x in X]
        model = regressor(alpha=0.1, weight_decay=0.1).fit(known, Y)
        for table in (model.module_.embedding.weight, model.module_.bag.weight):
            assert not table[0].any()
            assert table[1:].any(dim=1).all()
        model.predict([[0], [0, 3]])
        model.partial_fit(known, Y)
        assert not model.module_.embedding.weight[0].any()

    def test_is_learnt_where_it_is(self):
        assert 0 in np.concatenate(X)
        assert regressor().fit(X, Y).module_.embedding.weight[0].all()

    def test_alone(self):
        model = regressor().fit([[0], [0, 0]], [0.0, 1.0])
        assert model.n_tokens_ == 1
        assert np.isfinite(model.predict([[0, 0, 0]])).all()


def _tables(model):
    return model.module_.embedding.weight, model.module_.bag.weight


class TestWeightsAndOrder:
    @settings(max_examples=12, deadline=None)
    @given(st.data())
    def test_repetition_and_order(self, data):
        n = data.draw(st.integers(3, 10))
        counts = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
        counts[0], counts[1] = 1, 2
        order = data.draw(st.permutations(range(n)))
        how = {"dtype": "float64", "dropout": data.draw(st.sampled_from([0.0, 0.3]))}
        some, y = X[:n], Y[:n]
        by_weight = regressor(**how).fit(some, y, sample_weight=counts)
        rows = [i for i in order for _ in range(counts[i])]
        repeated = regressor(**how).fit([some[i] for i in rows], y[rows])
        seen = [x for x, count in zip(some, counts, strict=True) if count]
        assert by_weight.n_tokens_ == repeated.n_tokens_
        np.testing.assert_allclose(
            by_weight.predict(seen), repeated.predict(seen), rtol=1e-7, atol=1e-9
        )

    def test_tokens_of_weightless_sequences_are_not_known(self):
        model = regressor().fit([[1, 2], [3], [9]], [0.0, 1.0, 2.0], sample_weight=[1, 2, 0])
        assert model.n_tokens_ == 4
        with pytest.raises(ValueError, match="the token 9 in sequence 0, step 0"):
            model.predict([[9]])

    @settings(max_examples=10, deadline=None)
    @given(st.permutations(range(N_TOKENS)))
    def test_numbers_are_but_names(self, names):
        """Other numbers for the same tokens, which start at the same vectors: the same answers."""
        names = np.array(names)
        how = {"dtype": "float64", "warm_start": True, "pooling": "mean", "max_iter": 1}
        ours = regressor(**how).fit(X, Y)
        renamed = [names[x] for x in X]
        theirs = regressor(**how).fit(renamed, Y)
        with torch.no_grad():
            theirs.module_.load_state_dict(ours.module_.state_dict())
            for table, same in zip(_tables(theirs), _tables(ours), strict=True):
                table[names] = same.clone()
        ours.set_params(max_iter=5).fit(X, Y)
        theirs.set_params(max_iter=5).fit(renamed, Y)
        # sums over another order of the sequences, whose roundings Adam enlarges
        np.testing.assert_allclose(theirs.predict(renamed), ours.predict(X), rtol=1e-7, atol=1e-8)

    @EACH
    def test_same_seed_same_bits(self, more):
        state = torch.random.get_rng_state()
        one, two = (classifier(**more).fit(X, LABELS) for _ in range(2))
        other = classifier(**{**more, "random_state": 1}).fit(X, LABELS)
        assert bits(one) == bits(two)
        assert (one.predict_proba(X) == two.predict_proba(X)).all()
        assert (one.predict_proba(X) != other.predict_proba(X)).any()
        assert (torch.random.get_rng_state() == state).all()


class TestCourse:
    @EACH
    def test_copies(self, more):
        model = classifier(**more).fit(X, LABELS)
        expected = model.predict_proba(X)
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert (other.predict_proba(X) == expected).all()
            assert other.n_tokens_ == N_TOKENS
            assert other.module_.training is False
        again = pickle.loads(pickle.dumps(model))
        assert joblib.hash(again) == joblib.hash(pickle.loads(pickle.dumps(again)))
        assert not hasattr(clone(model), "n_tokens_")

    def test_warm_start_goes_on(self):
        model = regressor(warm_start=True).fit(X, Y)
        before = model.module_.embedding.weight.detach().clone()
        model.fit(X[:10], Y[:10])
        assert model.n_tokens_ == N_TOKENS
        assert len(model.loss_curve_) == 6
        assert (model.module_.embedding.weight != before).any()
        pickled = pickle.loads(pickle.dumps(model))
        assert bits(pickled.fit(X, Y)) == bits(model.fit(X, Y))
        for size in (5, None):
            model.set_params(embedding_size=size)
            with pytest.raises(ValueError, match="embedding_size changed from 4"):
                model.fit(X, Y)

    @pytest.mark.parametrize("n_members", [1, 2])
    def test_partial_fit_keeps_to_the_tokens_of_the_first_call(self, n_members):
        model = classifier(n_members=n_members)
        for _ in range(3):
            model.partial_fit(X, LABELS, classes=["a", "b"])
        before = model.predict_proba(X)
        with pytest.raises(ValueError, match=r"the token 15 in sequence 1, step 2,.*not there"):
            model.partial_fit([[1], [2, 3, 15]], ["a", "b"])
        assert (model.predict_proba(X) == before).all()
        model.partial_fit([[1], [2, 3, 0]], ["a", "b"])
        assert model.n_tokens_ == N_TOKENS

    def test_initial_states_in_fit(self):
        model = regressor(warm_start=True).fit(X, Y)
        state = model.predict(X, return_state=True)[1]
        model.fit(X, Y, initial_state=state)
        ahead = regressor().fit(X, Y, initial_state=np.ones((30, model.state_size_)))
        assert (ahead.predict(X) != regressor().fit(X, Y).predict(X)).any()

    def test_validation_sequences(self):
        model = regressor(early_stopping=True)
        model.fit(X[:20], Y[:20], X_val=[[0, 1], [2]], y_val=[0.0, 1.0])
        with pytest.raises(ValueError, match=r"X_val has the token 99 in sequence 1, step 0"):
            model.fit(X[:20], Y[:20], X_val=[[0, 1], [99]], y_val=[0.0, 1.0])

    @pytest.mark.parametrize("loss", ["absolute_error", "poisson", "gaussian", "quantile"])
    def test_other_losses(self, loss):
        y = np.abs(Y)
        model = regressor(loss=loss, max_iter=20).fit(X, y)
        assert np.isfinite(model.predict(X)).all()
        assert model.loss_curve_[-1] < model.loss_curve_[0]

    def test_divergence_is_not_blamed_on_numbers_of_tokens(self):
        model = classifier(solver="sgd", learning_rate=1e30, max_grad_norm=None)
        model.set_params(linear_path=False)
        with pytest.warns(ConvergenceWarning, match="Lower the learning rate") as caught:
            model.fit(X, LABELS)
        assert "scale" not in str(caught[0].message)

    def test_two_threads(self):
        """Sums into the table do not depend on who comes first."""
        rng = np.random.default_rng(0)
        many = [rng.integers(0, 50, 60) for _ in range(300)]
        y = np.array([np.cos(x).sum() for x in many])
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            one, two = (regressor(hidden_size=64, embedding_size=64).fit(many, y) for _ in "ab")
        finally:
            torch.set_num_threads(before)
        assert bits(one) == bits(two)

    def test_order_of_words_is_learnt(self):
        """What no bag of words can tell."""
        rng = np.random.default_rng(0)
        pairs = [rng.permutation([1, 2, *rng.integers(3, 10, 4)]) for _ in range(400)]
        first = [np.flatnonzero(x == 1)[0] < np.flatnonzero(x == 2)[0] for x in pairs]
        model = classifier(max_iter=40, hidden_size=16, learning_rate=0.02)
        assert model.fit(pairs[:300], first[:300]).score(pairs[300:], first[300:]) > 0.95


TEXTS = ["a good film", "what a bad film", "good good", "bad, so bad", "a good one", "bad one"] * 4
SAID = ["+", "-", "+", "-", "+", "-"] * 4


class TestPipelines:
    def test_words_that_only_other_folds_have(self):
        texts = [f"{text} word{i}" for i, text in enumerate(TEXTS)]
        model = make_pipeline(SequenceVectorizer(), classifier(max_iter=30, learning_rate=0.05))
        scores = cross_val_score(model, texts, SAID, cv=3)
        assert scores.shape == (3,)
        assert scores.mean() > 0.9
        p = cross_val_predict(model, texts, SAID, cv=3, method="predict_proba")
        assert p.shape == (24, 2)
        fitted = model.fit(texts, SAID)
        assert fitted[-1].n_tokens_ == len(fitted[0].vocabulary_) + 1
        assert fitted.predict(["never heard of"]).shape == (1,)

    def test_search(self):
        model = make_pipeline(SequenceVectorizer(), regressor())
        grid = {
            "rnnsequenceregressor__embedding_size": [2, 8],
            "sequencevectorizer__analyzer": ["word", "char"],
        }
        search = GridSearchCV(model, grid, cv=2, error_score="raise")
        search.fit(TEXTS, [len(text) for text in TEXTS])
        assert search.predict(TEXTS).shape == (24,)
        assert search.best_estimator_[-1].module_.embedding.embedding_dim in (2, 8)
