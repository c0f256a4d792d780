"""One side of a fitted autoencoder as compiled kernels want it."""

from __future__ import annotations

from ctypes import byref

from torch import Tensor, nn

from ..._native.functions import Functions
from ..._native.structures import AFFINE, Kept, Layer, Stack
from .._activations import Exponential
from .._linear import TransposedLinear
from .module import AutoencoderModule, Side, VariationalModule

_ACTIVATIONS = {
    nn.Identity: "identity",
    nn.Sigmoid: "logistic",
    nn.Tanh: "tanh",
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.ELU: "elu",
    nn.Softplus: "softplus",
    nn.SiLU: "silu",
    Exponential: "exp",
}
_USUAL = {"negative_slope": 0.01, "alpha": 1.0, "beta": 1.0, "threshold": 20.0}


class CompiledSide:
    """Encoder or decoder with its weights packed, between the user's units and codes.

    Parameters
    ----------
    functions : Functions
    module : AutoencoderModule
    name : str
        "encoder" or "decoder".
    n_outputs : int
        How many of its outputs are wanted, the first ones.
    """

    def __init__(self, functions: Functions, module: AutoencoderModule, name: str, n_outputs: int):
        if type(module) not in (AutoencoderModule, VariationalModule):
            raise _Unknown
        self._kept = kept = Kept(functions.vector_bytes)
        self._functions = functions.rows[module.dtype]
        layers = _layers(kept, getattr(module, name))
        encodes = name == "encoder"
        n_features = layers[0].n_x if encodes else n_outputs
        units = kept.units(module.mean, module.scale, n_features)
        self._structure = Stack(
            n_inputs=layers[0].n_x,
            n_layers=len(layers),
            n_outputs=n_outputs,
            layers=kept.array(layers),
            **{"units_in" if encodes else "units_out": units},
        )
        #: Multiplications that a row takes.
        self.products = sum(layer.n_units * (layer.n_x + layer.n_h) for layer in layers)

    def run(self, dtype: str, rows: int, stride: int, answers: int, n: int) -> None:
        """Write the answers to `n` rows, `stride` bytes apart, to the address `answers`."""
        if self._functions[dtype](byref(self._structure), rows, stride, answers, n):
            raise MemoryError("There is not enough memory for the layers of the network.")


def compiled_side(
    module: AutoencoderModule, name: str, n_outputs: int, functions: Functions
) -> CompiledSide | None:
    """See `CompiledSide`; None: kernels do not know all that is in the module."""
    try:
        return CompiledSide(functions, module, name, n_outputs)
    except _Unknown:
        return None


class _Unknown(Exception):
    """Kernels do not know what is to be compiled."""


def _layers(kept: Kept, side: nn.Module) -> list[Layer]:
    """The layers of a side; the last one reads the input, too, where there is a path."""
    if type(side) is not Side or type(side.network) is not nn.Sequential:
        raise _Unknown
    parts = [*side.network, side.activation]
    if len(parts) % 2:
        raise _Unknown
    layers = []
    for linear, activation in zip(parts[::2], parts[1::2], strict=True):
        weight, bias = _affine(linear)
        of_path = weight[:0]
        if activation is side.activation and side.path is not None:
            of_path, of_bias = _affine(side.path)
            bias = bias + of_bias
        layers.append(kept.layer(AFFINE, [weight], [of_path], [bias], _name(activation)))
    return layers


def _affine(linear: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight (inputs, outputs) and bias (outputs,)."""
    if type(linear) is nn.Linear:
        weight = linear.weight.detach().T
    elif type(linear) is TransposedLinear:
        weight = linear.of.weight.detach()[: linear.n_inputs]
    else:
        raise _Unknown
    bias = linear.bias
    return weight, weight.new_zeros(weight.shape[1]) if bias is None else bias.detach()


def _name(activation: nn.Module) -> str:
    name = _ACTIVATIONS.get(type(activation))
    if name is None or any(getattr(activation, k, v) != v for k, v in _USUAL.items()):
        raise _Unknown
    return name
