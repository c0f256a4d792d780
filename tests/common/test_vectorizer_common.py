"""scikit-learn's own checks of the one estimator that takes no table.

`check_estimator` runs a single check where a tag says so. Those that need no rows run here; what
the others look at (pickles, subsets and order of rows, equal fits, names) is in
`behaviour/test_vectorizer.py`, with texts.
"""

import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils import estimator_checks

from skaernn import SequenceVectorizer

WITHOUT_ROWS = [
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_mixin_order,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_param_validation,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_set_params,
    estimator_checks.check_transformers_unfitted,
    estimator_checks.check_valid_tag_types,
]


def test_check_estimator():
    with pytest.warns(SkipTestWarning, match="Can't test estimator SequenceVectorizer"):
        results = estimator_checks.check_estimator(SequenceVectorizer(), on_fail=None)
    assert results
    assert {result["status"] for result in results} == {"passed"}


@pytest.mark.parametrize("check", WITHOUT_ROWS, ids=lambda check: check.__name__)
def test_checks_without_rows(check):
    check("SequenceVectorizer", SequenceVectorizer())


def test_tags_say_what_it_takes():
    tags = SequenceVectorizer().__sklearn_tags__()
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.requires_fit
    assert not tags._skip_test
    assert not tags.no_validation
    assert not tags.non_deterministic
    assert not tags.target_tags.required
    assert tags.transformer_tags.preserves_dtype == []
