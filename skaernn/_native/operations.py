"""Operations that compiled kernels go through, batch after batch: the structures of `src`."""

from __future__ import annotations

from ctypes import POINTER, Structure, addressof, c_double, c_int64, c_void_p
from enum import IntEnum

from torch import Tensor

from .structures import Pass

OF_BATCH = -1  # as a size: the rows of the batch; -2: twice as many, and so on


class Code(IntEnum):
    """What an operation does; numbered as in `src`."""

    LOAD = 0
    PRODUCT = 1
    TRANSPOSE = 2
    ACTIVATE = 3
    DIFFERENTIATE = 4
    MULTIPLY = 5
    ADD = 6
    LOSS = 7
    SPARSITY = 8
    DECAY = 9
    CLIP = 10
    ADAM = 11
    SGD = 12
    DRAW = 13
    DRAW_BACK = 14
    DIVERGENCE = 15
    LAYER = 16
    POOL = 17
    POOL_BACK = 18
    SHRINK = 19


class Place(Structure):
    """Where a matrix is: its first number, and how far it is to the next row and column."""

    _fields_ = [("at", c_void_p), ("row", c_int64), ("column", c_int64)]

    @classmethod
    def of(cls, matrix: Tensor) -> Place:
        """Where a matrix, or a vector as one row, lies."""
        *rows, column = matrix.stride()
        return cls(matrix.data_ptr(), *rows or (0,), column)


_NOWHERE = Place()


def _move(structure: Structure, name: str, begin: int, end: int, shift: int) -> None:
    """Shift where a structure points to, if that lies in a part of memory."""
    at = getattr(structure, name)
    if at is not None and begin <= at < end:
        setattr(structure, name, at + shift)


class Operation(Structure):
    """One operation on matrices of m rows and n columns; a product has k summands."""

    _fields_ = [
        ("code", c_int64),
        ("option", c_int64),
        ("m", c_int64),
        ("n", c_int64),
        ("k", c_int64),
        ("a", Place),
        ("b", Place),
        ("c", Place),
        ("d", Place),
        ("numbers", c_double * 3),
    ]

    def moved(self, begin: int, end: int, shift: int) -> Operation:
        """The same on matrices that lie elsewhere, where they lay in a part of memory."""
        moved = Operation.from_buffer_copy(self)
        for place in (moved.a, moved.b, moved.c, moved.d):
            _move(place, "at", begin, end, shift)
        return moved


class LayerOperation(Operation):
    """The passes of a recurrent layer, of which `structure` says where everything lies."""

    def __init__(self, structure: Pass, *, back: bool):
        super().__init__(Code.LAYER, int(back), a=Place(addressof(structure)))
        self._structure = structure  # alive, as the operation points to it

    def moved(self, begin: int, end: int, shift: int) -> LayerOperation:
        """The same with weights that lie elsewhere, where they lay in a part of memory."""
        structure = Pass.from_buffer_copy(self._structure)
        for name in ("weight", "candidate_bias"):
            _move(structure, name, begin, end, shift)
        return LayerOperation(structure, back=bool(self.option))


class Input(Structure):
    """Rows of numbers to read: those whose numbers stand in `rows`, or one behind the other."""

    _fields_ = [("at", c_void_p), ("rows", c_void_p)]

    @classmethod
    def of(cls, numbers: Tensor, rows: Tensor | None) -> Input:
        """Rows of a matrix, or all of it."""
        return cls(numbers.data_ptr(), None if rows is None else rows.data_ptr())


class Batches(Structure):
    """Rows to go through, and where the sums of it are added."""

    _fields_ = [
        ("inputs", POINTER(Input)),
        ("weights", c_void_p),
        ("first", c_int64),
        ("last", c_int64),
        ("size", c_int64),
        ("rate", c_double),
        ("lost", c_double),
        ("step", c_int64),
        ("sums", c_void_p),
    ]


class Recorder:
    """Makes operations, and owns the memory that they point to."""

    def __init__(self):
        self._owners: list[Tensor] = []

    def make(
        self,
        code: Code,
        m: int,
        n: int,
        k: int = 0,
        option: int = 0,
        numbers: tuple[float, ...] = (),
        **places: Tensor,
    ) -> Operation:
        """An operation on the matrices a, b, c and d, as far as they are given."""
        self._owners += places.values()
        at = [Place.of(places[name]) if name in places else _NOWHERE for name in "abcd"]
        return Operation(code, option, m, n, k, *at, numbers)
