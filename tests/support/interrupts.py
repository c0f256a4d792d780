"""Ctrl-C at a place of one's choosing."""

from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from torch_only import by_torch

from skaernn._training import linear
from skaernn._training.compiled import CompiledSteps
from skaernn._training.objective import Evaluation
from skaernn._training.sequences import RecurrentObjective
from skaernn._training.solvers import LBFGS, SOLVERS
from skaernn._training.vectors import ReconstructionObjective


def _after(function, at_call, late, calls=None):
    """`function`, interrupted at one of its calls: before it, or (`late`) when it is done."""
    calls = [] if calls is None else calls

    def counted(*args, **kwargs):
        calls.append(None)
        if len(calls) == at_call and not late:
            raise KeyboardInterrupt
        result = function(*args, **kwargs)
        if len(calls) == at_call:
            raise KeyboardInterrupt
        return result

    return counted


class _OfTheStart(LBFGS):
    """What looks for a linear model, before training, is none of the solvers that are counted."""

    step = LBFGS.step


@contextmanager
def interrupt_solver(at_step, *, late=False):
    """Interrupt the solver, whichever it is, at a step (counted from 1) by torch."""
    with ExitStack() as stack:
        stack.enter_context(by_torch())
        stack.enter_context(patch.object(linear, "LBFGS", _OfTheStart))
        for solver in SOLVERS.values():
            stack.enter_context(patch.object(solver, "step", _after(solver.step, at_step, late)))
        yield


@contextmanager
def interrupt_objective(method, at_call, *, late=False):
    """Interrupt a method of the objective or of its evaluations, by torch, at one of its calls."""
    kinds = (ReconstructionObjective, RecurrentObjective, Evaluation)
    with ExitStack() as stack:
        stack.enter_context(by_torch())
        for kind in (kind for kind in kinds if hasattr(kind, method)):
            replacement = _after(getattr(kind, method), at_call, late)
            stack.enter_context(patch.object(kind, method, replacement))
        yield


@contextmanager
def interrupt_part(at_part, *, late=False):
    """Interrupt compiled training at a call of the kernels (counted from 1); gives the calls."""
    calls = []
    replacement = _after(CompiledSteps.take, at_part, late, calls)
    with patch.object(CompiledSteps, "take", replacement):
        yield calls
