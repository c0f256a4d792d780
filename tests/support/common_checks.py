"""scikit-learn's common checks: how they ended, and those that `check_estimator` leaves out."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import estimator_checks

# What `check_estimator` does not run and what applies to a transformer.
LEFT_OUT = [
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_estimators_partial_fit_n_features,
    estimator_checks.check_global_output_transform_pandas,
    estimator_checks.check_global_set_output_transform_polars,
    estimator_checks.check_param_validation,
    estimator_checks.check_set_output_transform,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_set_output_transform_polars,
    estimator_checks.check_transformer_get_feature_names_out,
    estimator_checks.check_transformer_get_feature_names_out_pandas,
]


def statuses(estimator):
    with warnings.catch_warnings():
        # no failure to scikit-learn; some checks fit three rows, which a brave rate only ruins
        warnings.simplefilter("ignore", ConvergenceWarning)
        results = estimator_checks.check_estimator(estimator, on_fail=None, on_skip=None)
    not_passed = {
        f"{result['check_name']}: {result['status']}": result["exception"]
        for result in results
        if result["status"] != "passed"
    }
    return len(results), not_passed
