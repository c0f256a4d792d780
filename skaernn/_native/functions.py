"""The functions of the compiled kernels, with the types of their arguments."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CDLL, POINTER, c_char_p, c_int, c_int64, c_void_p

import torch

from .structures import Network, Pass, Run, Stack


class Functions:
    """The functions of a library by the type of a network and of the numbers that go in and out.

    Parameters
    ----------
    compiled : CDLL

    Attributes
    ----------
    instruction_set : str
        What they were compiled for.
    vector_bytes : int
        Width of the vectors that weights are to be packed for.
    sequences, rows : dict
        From the type of the network, and NumPy's letter for that of input and output, to a
        function that gives 0, or 1 if memory did not suffice.
    steps : dict
        From the type of a network to a function that goes through batches with a number of
        operations.
    forward, backward : dict
        From the type of a recurrent layer to a function of a `Pass`.
    same : callable
        Whether memory at two lists of addresses is the same, number of bytes by number of bytes.
    """

    def __init__(self, compiled: CDLL):
        compiled.skaernn_instruction_set.restype = c_char_p
        self.instruction_set: str = compiled.skaernn_instruction_set().decode()
        self.vector_bytes: int = compiled.skaernn_vector_bytes()
        self.sequences = self._by_types(compiled, "sequences", POINTER(Network), POINTER(Run))
        self.rows = self._by_types(
            compiled, "rows", POINTER(Stack), c_void_p, c_int64, c_void_p, c_int64
        )
        self.steps = self._by_type(compiled, "steps", c_void_p, c_int64, c_void_p)
        self.forward = self._by_type(compiled, "forward", POINTER(Pass))
        self.backward = self._by_type(compiled, "backward", POINTER(Pass))
        self.same = _typed(compiled.skaernn_same, c_void_p, c_void_p, c_void_p, c_int64)

    @staticmethod
    def _by_types(compiled: CDLL, name: str, *types) -> dict[torch.dtype, dict[str, Callable]]:
        return {
            own: {
                users: _typed(getattr(compiled, f"skaernn_{name}_{a}_{b}"), *types)
                for users, b in (("f", "f32"), ("d", "f64"))
            }
            for own, a in ((torch.float32, "f32"), (torch.float64, "f64"))
        }

    @staticmethod
    def _by_type(compiled: CDLL, name: str, *types) -> dict[torch.dtype, Callable]:
        return {
            own: _typed(getattr(compiled, f"skaernn_{name}_{a}"), *types, result=None)
            for own, a in ((torch.float32, "f32"), (torch.float64, "f64"))
        }


def _typed(function, *types, result=c_int):
    function.argtypes, function.restype = types, result
    return function
