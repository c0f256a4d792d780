"""Checks of estimators, for your own tests."""

from ._sequence_estimator import check_sequence_estimator

__all__ = ["check_sequence_estimator"]
