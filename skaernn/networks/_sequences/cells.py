"""Recurrent cells: what they compute, where their parameters lie, how they start.

The state h reads itself and the input x, every gate as sigmoid(h W_h + x W_x + b)::

    Vanilla   h' = f(h W_h + x W_x + b)                                        f: tanh or relu
    LSTM      c' = f c + i g,   h' = o tanh(c')                                g: tanh for sigmoid
    GRU       h' = z h + (1 - z) n,   n = tanh(x W_x + b + r (h W_h + b_h))
    MinGRU    h' = (1 - z) h + z n,   n = g(x W_x + b),   z = sigmoid(x W_x + b)

(Elman 1990; Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000; Cho et al.
2014, with r after the product as cuDNN and torch have it; Feng et al. 2024.) The parameters of all
gates are one block (H + C + 1, gates H), whose rows read [h | x | 1].
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .stepped import Blocks, States, SteppedLayers

_LARGE = 256  # units


def start_weights(weight: Tensor, generator: torch.Generator) -> None:
    """Write random weights into `weight` (inputs, outputs), after Glorot & Bengio (2010).

    Drawn in float64 on the CPU: the same start for every dtype and device.
    """
    bound = math.sqrt(6.0 / sum(weight.shape))
    draw = torch.empty(weight.shape, dtype=torch.float64, device="cpu")
    weight.copy_(draw.uniform_(-bound, bound, generator=generator))


def orthogonal(n: int, size: int, generator: torch.Generator) -> Tensor:
    """Draw `n` orthogonal matrices, uniform over all of them: (n, size, size), float32, CPU.

    The Q of a Gaussian matrix (Mezzadri 2007) is a product of reflections, each of a Gaussian
    vector one shorter than the last, whatever the other columns are (Stewart 1980). So the
    vectors are drawn at once, which saves the factorisation, half of the work. Orthogonal to
    1e-6, as good as weights in float32 can be.

    Of large matrices, each of which takes as long as some batches of few steps, the first alone is
    made so. The others are the first with random signs of its columns: each is uniform by itself.
    """
    if n > 1 and size >= _LARGE:
        first = orthogonal(1, size, generator)
        signs = torch.randint(2, (n - 1, 1, size), generator=generator, device="cpu") * 2.0 - 1
        return torch.cat([first, first * signs])
    draw = torch.empty(n, size, size, dtype=torch.float32, device="cpu")
    place = torch.arange(size, device="cpu")  # `triu` of a batch wakes threads, however small
    rows = draw.normal_(generator=generator)
    rows *= place[:, None] <= place  # row k is the vector of reflection k
    head = rows.diagonal(dim1=-2, dim2=-1)
    head.masked_fill_(head == 0, 1.0)  # zero is drawn once in 2^24 times, and divided by below
    length = torch.linalg.vector_norm(rows, dim=-1)
    sign, scales = head.sign(), 1 + head.abs() / length  # copies: head is a view
    rows /= (head + sign * length)[..., None]
    q = torch.linalg.householder_product(rows.mT, scales)
    return q.mT.mul_(-sign[..., None])  # the signs that R's diagonal would have made positive


@dataclass(frozen=True)
class Cell(ABC):
    """Description of one layer in one direction; holds no parameters.

    Parameters
    ----------
    n_inputs, hidden_size : int
        Widths C of the input and H of the state.
    activation : str
        "tanh" or "relu"; read by `Vanilla` alone.
    """

    n_inputs: int
    hidden_size: int
    activation: str = "tanh"

    n_states: ClassVar[int] = 1
    n_gates: ClassVar[int] = 1  # blocks of H columns
    n_kept: ClassVar[int] = 3  # such blocks that a pass holds of a step, in and out among them

    @property
    def bounded(self) -> bool:
        """Whether states stay finite however often it reads zeros."""
        return True

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameter blocks."""
        rows = self.hidden_size + self.n_inputs + 1
        return {"weight": (rows, self.n_gates * self.hidden_size)}

    @property
    def penalised(self) -> dict[str, Tensor]:
        """Masks of the blocks: 1 for weights, 0 for biases."""
        masks = {name: torch.zeros(shape, device="cpu") for name, shape in self.shapes.items()}
        masks["weight"][:-1] = 1
        return masks

    def start(self, blocks: Blocks, generator: torch.Generator) -> None:
        """Write random parameters into `blocks`.

        Gate by gate: input weights after Glorot & Bengio (2010), recurrent weights orthogonal
        (Saxe et al. 2014), biases zero.
        """
        n_hidden = self.hidden_size
        for block in blocks.values():
            block.zero_()
        gates = blocks["weight"].split(n_hidden, dim=1)
        recurrent = orthogonal(len(gates), n_hidden, generator)
        for gate, matrix in zip(gates, recurrent, strict=True):
            gate[:n_hidden] = matrix
            start_weights(gate[n_hidden:-1], generator)

    @abstractmethod
    def step(self, x: Tensor, states: States, blocks: Blocks) -> States:
        """The states after one step of input `x` (n, C) from `states`, (n, H) each."""

    def _gates(self, x: Tensor, h: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        """Products of all gates before their activations."""
        product = torch.addmm(weight[-1], torch.cat([h, x], 1), weight[:-1])
        return product.split(self.hidden_size, dim=1)

    def layers(self, n_layers: int, bidirectional: bool, dtype: torch.dtype) -> nn.Module:
        """The layers of a fitted module, this one first, without memory ("meta")."""
        return SteppedLayers(self, n_layers, bidirectional, dtype)

    def to_module(self, blocks: Blocks) -> tuple[Tensor, ...]:
        """Copies of the parameters in the arrangement of `layers`."""
        return tuple(block.clone() for block in blocks.values())

    def from_module(self, weights: Sequence[Tensor], blocks: Blocks) -> None:
        """Write parameters in the arrangement of `layers` into `blocks`."""
        for block, weight in zip(blocks.values(), weights, strict=True):
            block.copy_(weight)


class TorchCell(Cell):
    """A cell that torch has a layer of, which fitted modules are then made of."""

    #: Gates in the order of torch, each with its place in our block.
    gates: ClassVar[tuple[int, ...]]
    torch_class: ClassVar[type[nn.RNNBase]]

    @property
    def order(self) -> list[int]:
        """Gates in our order, each with its place in torch's."""
        return sorted(range(self.n_gates), key=self.gates.__getitem__)

    @property
    def torch_kernel(self):
        """What torch's layer calls."""
        return getattr(torch._VF, self.torch_class.__name__.lower())

    def layers(self, n_layers, bidirectional, dtype, **options):
        """The layers of a fitted module, this one first, without memory ("meta")."""
        return self.torch_class(
            self.n_inputs,
            self.hidden_size,
            n_layers,
            batch_first=True,
            bidirectional=bidirectional,
            dtype=dtype,
            device="meta",
            **options,
        )

    def to_module(self, blocks):
        """Copies of the parameters in the arrangement of `layers`."""
        return self.to_torch(blocks)

    def from_module(self, weights, blocks):
        """Write parameters in the arrangement of `layers` into `blocks`."""
        self.from_torch(*weights, blocks)

    def to_torch(self, blocks: Blocks) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Copies of the parameters as torch has them: w_ih, w_hh, b_ih, b_hh."""
        n_hidden = self.hidden_size
        parts = blocks["weight"].split(n_hidden, dim=1)
        weight = torch.cat([parts[gate] for gate in self.gates], dim=1)
        w_ih, w_hh = weight[n_hidden:-1].T.contiguous(), weight[:n_hidden].T.contiguous()
        b_ih = weight[-1].clone()
        return w_ih, w_hh, b_ih, torch.zeros_like(b_ih)

    def from_torch(
        self, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, blocks: Blocks
    ) -> None:
        """Write torch's parameters into `blocks`: the inverse of `to_torch`."""
        weight = torch.cat([w_hh, w_ih, (b_ih + b_hh)[:, None]], dim=1)
        parts = weight.split(self.hidden_size)
        blocks["weight"].copy_(torch.cat([parts[gate] for gate in self.order]).T)

    def gradients_from_torch(
        self, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, grads: Blocks
    ) -> None:
        """Write the gradients of torch's parameters into `grads`."""
        # torch's two biases are one of ours, and the gradient is the same for both
        self.from_torch(w_ih, w_hh, b_ih, torch.zeros_like(b_hh), grads)


class Vanilla(TorchCell):
    """The plain recurrent layer, of tanh or of relu units."""

    gates = (0,)
    torch_class = nn.RNN

    @property
    def bounded(self) -> bool:
        """Whether states stay finite however often it reads zeros."""
        return self.activation == "tanh"

    def layers(self, n_layers, bidirectional, dtype):
        """The layers of a fitted module, this one first, without memory ("meta")."""
        return super().layers(n_layers, bidirectional, dtype, nonlinearity=self.activation)

    @property
    def torch_kernel(self):
        """What torch's layer calls."""
        return getattr(torch._VF, f"rnn_{self.activation}")

    def step(self, x: Tensor, states: States, blocks: Blocks) -> States:
        """The states after one step of input `x` (n, C) from `states`, (n, H) each."""
        (product,) = self._gates(x, *states, blocks["weight"])
        return (getattr(torch, self.activation)(product),)


class LSTM(TorchCell):
    """Long short-term memory; states h and c.

    Gates lie in the order o, i, f, g: sigmoids side by side, and side by side those whose
    gradient comes through c.
    """

    gates = (1, 2, 3, 0)  # torch: i, f, g, o
    n_states, n_gates, n_kept = 2, 4, 8
    torch_class = nn.LSTM

    def start(self, blocks: Blocks, generator: torch.Generator) -> None:
        """As any cell; biases of the forget gate one (Gers et al. 2000; Jozefowicz 2015)."""
        super().start(blocks, generator)
        blocks["weight"][-1].split(self.hidden_size)[2].fill_(1)

    def step(self, x: Tensor, states: States, blocks: Blocks) -> States:
        """The states after one step of input `x` (n, C) from `states`, (n, H) each."""
        h, c = states
        o, i, f, g = self._gates(x, h, blocks["weight"])
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class GRU(TorchCell):
    """Gated recurrent unit.

    Gates lie in the order n, r, z. The candidate n has a second bias, the one under its reset
    gate: the block `candidate_bias`, (1, H).
    """

    gates = (1, 2, 0)  # torch: r, z, n
    n_gates, n_kept = 3, 6
    torch_class = nn.GRU

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameter blocks."""
        return {**super().shapes, "candidate_bias": (1, self.hidden_size)}

    def step(self, x: Tensor, states: States, blocks: Blocks) -> States:
        """The states after one step of input `x` (n, C) from `states`, (n, H) each."""
        (h,) = states
        weight, n_hidden = blocks["weight"], self.hidden_size
        r, z = self._gates(x, h, weight[:, n_hidden:])
        q = torch.addmm(blocks["candidate_bias"], h, weight[:n_hidden, :n_hidden])
        n = torch.addmm(weight[-1, :n_hidden], x, weight[n_hidden:-1, :n_hidden])
        n = torch.addcmul(n, r.sigmoid(), q).tanh()
        return (torch.lerp(n, h, z.sigmoid()),)

    def to_torch(self, blocks: Blocks) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Copies of the parameters as torch has them: w_ih, w_hh, b_ih, b_hh."""
        *others, b_hh = super().to_torch(blocks)
        b_hh[-self.hidden_size :] = blocks["candidate_bias"][0]
        return (*others, b_hh)

    def from_torch(
        self, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, blocks: Blocks
    ) -> None:
        """Write torch's parameters into `blocks`: the inverse of `to_torch`."""
        b_hh = b_hh.clone()
        blocks["candidate_bias"][0] = b_hh[-self.hidden_size :]
        b_hh[-self.hidden_size :] = 0
        super().from_torch(w_ih, w_hh, b_ih, b_hh, blocks)

    def gradients_from_torch(
        self, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, grads: Blocks
    ) -> None:
        """Write the gradients of torch's parameters into `grads`."""
        super().gradients_from_torch(w_ih, w_hh, b_ih, b_hh, grads)
        grads["candidate_bias"][0] = b_hh[-self.hidden_size :]


class MinGRU(Cell):
    """Minimal gated recurrent unit (Feng et al. 2024), whose gate and candidate read x alone.

    With g(a) = a + 1/2 for a >= 0, else sigmoid(a), as the paper has it. Gates lie in the order
    z, candidate, in one block (C + 1, 2 H), whose rows read [x | 1].
    """

    n_gates, n_kept = 2, 7

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameter blocks."""
        return {"weight": (self.n_inputs + 1, 2 * self.hidden_size)}

    def start(self, blocks: Blocks, generator: torch.Generator) -> None:
        """Write random parameters into `blocks`: after Glorot & Bengio (2010), biases zero."""
        weight = blocks["weight"].zero_()
        for gate in weight.split(self.hidden_size, dim=1):
            start_weights(gate[:-1], generator)

    def step(self, x: Tensor, states: States, blocks: Blocks) -> States:
        """The states after one step of input `x` (n, C) from `states`, (n, H) each."""
        weight = blocks["weight"]
        z, a = torch.addmm(weight[-1], x, weight[:-1]).split(self.hidden_size, dim=1)
        candidate = torch.where(a >= 0, a + 0.5, a.sigmoid())
        return (torch.lerp(states[0], candidate, z.sigmoid()),)


CELLS: dict[str, type[Cell]] = {"rnn": Vanilla, "lstm": LSTM, "gru": GRU, "mingru": MinGRU}
