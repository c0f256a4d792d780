"""Checks of estimators, for your own tests."""

from ._contracts import check_contracts
from ._sequence_estimator import check_sequence_estimator

__all__ = ["check_contracts", "check_sequence_estimator"]
