"""What compiled kernels are handed: the structures of `src`, and weights in their arrangement."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import POINTER, Structure, c_double, c_float, c_int64, c_void_p, cast

import torch
from torch import Tensor
from torch.nn import functional

# Numbered as in `src`.
ACTIVATIONS = (
    "identity",
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "softplus",
    "silu",
    "exp",
    "softmax",
    "mean_and_deviation",
)
AFFINE, LSTM, GRU, MINGRU = range(4)
POOLINGS = (None, "last", "mean", "max", "attention")

_DOUBLES, _FLOATS = POINTER(c_double), POINTER(c_float)


class Layer(Structure):
    """One layer: what it is, its widths, and where its packed weights lie."""

    _fields_ = [
        ("kind", c_int64),
        ("activation", c_int64),
        ("n_x", c_int64),
        ("n_h", c_int64),
        ("n_units", c_int64),
        ("w_x", c_void_p),
        ("w_h", c_void_p),
        ("bias", c_void_p),
    ]


class Units(Structure):
    """A mean and a scale for each column, in both types; null: there are none."""

    _fields_ = [
        ("mean", _DOUBLES),
        ("scale", _DOUBLES),
        ("mean32", _FLOATS),
        ("scale32", _FLOATS),
        ("wide", c_int64),
    ]


class Network(Structure):
    """A recurrent network."""

    _fields_ = [
        ("n_channels", c_int64),
        ("n_layers", c_int64),
        ("n_directions", c_int64),
        ("pooling", c_int64),
        ("n_outputs", c_int64),
        ("state_width", c_int64),
        ("state_of_pool", c_int64),
        ("n_skipped", c_int64),
        ("n_places", c_int64),
        ("window", c_void_p),
        ("layers", POINTER(Layer)),
        ("output", POINTER(Layer)),
        ("query", POINTER(Layer)),
        ("units_in", Units),
        ("units_out", Units),
    ]


class Run(Structure):
    """Which sequences are run, and where their answers go; what is null is as `src` says."""

    _fields_ = [
        ("steps", c_void_p),
        ("starts", c_void_p),
        ("lengths", c_void_p),
        ("order", c_void_p),
        ("state_rows", c_void_p),
        ("stride", c_int64),
        ("states", c_void_p),
        ("outputs", c_void_p),
        ("begins", c_void_p),
        ("first", c_int64),
        ("last", c_int64),
        ("begin", c_int64),
        ("end", c_int64),
    ]


class Stack(Structure):
    """Dense layers one behind the other."""

    _fields_ = [
        ("n_inputs", c_int64),
        ("n_layers", c_int64),
        ("n_outputs", c_int64),
        ("layers", POINTER(Layer)),
        ("units_in", Units),
        ("units_out", Units),
    ]


class Pass(Structure):
    """Passes of one recurrent layer: its widths and sizes, and where everything lies."""

    _fields_ = [
        ("kind", c_int64),
        ("n_inputs", c_int64),
        ("n_hidden", c_int64),
        ("n_steps", c_int64),
        ("n_rows", c_int64),
        ("sizes", POINTER(c_int64)),
        ("weight", c_void_p),
        ("candidate_bias", c_void_p),
        ("weight_grad", c_void_p),
        ("candidate_bias_grad", c_void_p),
        ("weight_stride", c_int64),
        ("x", c_void_p),
        ("x_stride", c_int64),
        ("source", c_void_p),
        ("matrices", c_void_p),
        ("h", c_void_p),
        ("initial_h", c_void_p),
        ("initial_c", c_void_p),
        ("delta", c_void_p),
        ("delta_initial_h", c_void_p),
        ("delta_initial_c", c_void_p),
        ("begins", c_int64),
        ("delta_x", c_void_p),
        ("delta_x_stride", c_int64),
        ("turned", c_void_p),
    ]


class Kept:
    """Structures with pointers into memory that lives as long as this does.

    Parameters
    ----------
    vector_bytes : int
        Width of the vectors that weights are packed for.
    """

    def __init__(self, vector_bytes: int):
        self._vector_bytes = vector_bytes
        self._owners: list = []

    def layer(
        self,
        kind: int,
        x_gates: Sequence[Tensor],
        h_gates: Sequence[Tensor],
        biases: Sequence[Tensor],
        activation: str = "identity",
    ) -> Layer:
        """A layer whose weights are packed.

        Parameters
        ----------
        kind : int
        x_gates, h_gates : sequence of Tensor of shape (inputs, units)
            Gate by gate, the weights of the two inputs; either may have no rows.
        biases : sequence of Tensor of shape (units,)
            One for each sum of a unit.
        activation : str
        """
        n_units = biases[0].shape[-1]
        return Layer(
            kind,
            ACTIVATIONS.index(activation),
            x_gates[0].shape[0],
            h_gates[0].shape[0],
            n_units,
            self._packed(x_gates),
            self._packed(h_gates),
            self._packed([bias[None] for bias in biases]),
        )

    def units(self, mean: Tensor | None, scale: Tensor | None, n: int) -> Units:
        """Scaling of `n` columns, of which there may be one mean or one scale for all."""
        if mean is None or scale is None:
            return Units()
        wide, narrow = (
            [part.to(dtype).expand(n).clone() for part in (mean, scale)]
            for dtype in (torch.float64, torch.float32)
        )
        self._owners += [*wide, *narrow]
        doubles = [cast(part.data_ptr(), _DOUBLES) for part in wide]
        floats = [cast(part.data_ptr(), _FLOATS) for part in narrow]
        is_wide = torch.float64 in (mean.dtype, scale.dtype)
        return Units(*doubles, *floats, int(is_wide))

    def rows(self, matrix: Tensor) -> int:
        """The address of a matrix whose rows are filled up with zeros to whole vectors."""
        lanes = self._vector_bytes // matrix.element_size()
        rows = functional.pad(matrix, (0, -matrix.shape[1] % lanes)).contiguous().clone()
        self._owners.append(rows)
        return rows.data_ptr()

    def array(self, layers: Sequence[Layer]):
        """The layers side by side."""
        array = (Layer * len(layers))(*layers)
        self._owners.append(array)
        return array

    def _packed(self, gates: Sequence[Tensor]) -> int:
        """The address of weights block by block of units, input by input, gate by gate."""
        weight = torch.stack(list(gates), dim=1)  # (inputs, gates, units)
        n_units = weight.shape[2]
        lanes = self._vector_bytes // weight.element_size()
        weight = functional.pad(weight, (0, -n_units % lanes))
        weight = weight.unflatten(2, (-(-n_units // lanes), lanes)).permute(2, 0, 1, 3)
        weight = weight.contiguous().clone()  # torch's memory begins at cache lines
        self._owners.append(weight)
        return weight.data_ptr()
