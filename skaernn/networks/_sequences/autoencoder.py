"""Description of a sequence autoencoder: two recurrent networks around a code.

    h_t = encoder(h_{t-1}, x_t)        z = W_e h_T + b_e
    s_0 = W_s z + b_s                  s_t = decoder(s_{t-1}, z)        x'_t = W_d [s_t, z] + b_d

(after Cho et al. 2014, and Srivastava, Mansimov & Salakhutdinov 2015.) The decoder reads the code
at every step, so that it need not remember it, and begins at a state of its own for each code:
from zeros, all sequences would take the same first steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ..._core.noise import mix
from .._layout import Layout
from .._linear import linear_from
from .cells import start_weights
from .custom import Factory, OwnRecurrentNetwork, recurrent_network
from .module import UNITS, SequenceAutoencoderModule
from .network import RecurrentNetwork
from .packing import Packing

_DECODER = 0x2545F491  # tells its dropout masks from the encoder's


class BoundAutoencoder:
    """Views of one model's parameters and gradients, as `Bound` has them, for both networks.

    Parameters
    ----------
    network : SequenceAutoencoder
    theta : Tensor of shape (1, P)
        Parameters. Looked into, not copied.
    grad : Tensor of shape (1, P) or None
        Where their gradient goes; without it there is no way back.
    """

    def __init__(self, network: SequenceAutoencoder, theta: Tensor, grad: Tensor | None):
        encoder, self.begin, decoder = network.split(theta)
        encoder_grad = self.d_begin = decoder_grad = None
        if grad is not None:
            encoder_grad, self.d_begin, decoder_grad = network.split(grad)
        self.encoder = network.encoder.bound(encoder, encoder_grad)
        self.decoder = network.decoder.bound(decoder, decoder_grad)


class SequenceAutoencoderPasses:
    """Passes of a `SequenceAutoencoder` over batches of one packing, for one model (K = 1).

    Parameters
    ----------
    network : SequenceAutoencoder
    bound : BoundAutoencoder
        Its parameters; of passes over sequences of unequal length, use those made last.
    packing : Packing
    linear_output : bool
        Leave out `output_activation`, for a loss defined on what comes before it.

    Attributes
    ----------
    x : Tensor of shape (S, C)
        Write the packed batch here.
    code : Tensor of shape (B, K)
        Holds the codes after `forward`.
    output : Tensor of shape (1, S, C)
        Holds the reconstruction after `forward`.
    delta : Tensor of shape (1, S, C)
        Write the gradient of the loss with respect to `output` here, before `backward`.
    """

    def __init__(
        self,
        network: SequenceAutoencoder,
        bound: BoundAutoencoder,
        packing: Packing,
        *,
        linear_output: bool = False,
    ):
        self.packing, self._bound = packing, bound
        self._encoder = network.encoder.passes(bound.encoder, packing)
        self._decoder = network.decoder.passes(
            bound.decoder,
            packing,
            linear_output=linear_output,
            input_gradient=True,
            state_gradient=True,
        )
        self.x, self.code = self._encoder.x, self._encoder.output[0]
        self.output, self.delta = self._decoder.output, self._decoder.delta
        self._code = self.code.new_ones(packing.n_rows, network.n_components + 1)

    def forward(self) -> None:
        """From `x` to `output`."""
        self._encoder.forward()
        self._code[:, :-1] = self.code
        self._decoder.set_state(self._code @ self._bound.begin)
        self.packing.spread(self.code, out=self._decoder.x)
        self._decoder.forward()

    def backward(self) -> None:
        """From `delta` to the gradient of every parameter, which is overwritten."""
        decoder, begin = self._decoder, self._bound.begin
        decoder.backward()
        torch.mm(self._code.mT, decoder.d_state, out=self._bound.d_begin)
        d_code = self.packing.sums(decoder.d_x)  # a code is read at every step
        d_code.addmm_(decoder.d_state, begin[:-1].mT)
        self._encoder.delta[0] = d_code
        self._encoder.backward()

    def draw_masks(self, keys: Tensor, seed: int, epoch: int) -> None:
        """New dropout masks for the sequences whose content hashes are `keys` (B,)."""
        self._encoder.draw_masks(keys, seed, epoch)
        self._decoder.draw_masks(keys, mix(seed, _DECODER), epoch)


ENCODER, BEGIN, DECODER = "encoder", "begin", "decoder"


@dataclass(frozen=True)
class SequenceAutoencoder:
    """An autoencoder of sequences, without parameters.

    Parameters
    ----------
    encoder : RecurrentNetwork or OwnRecurrentNetwork
        From sequences to codes: one linear output a sequence.
    decoder : RecurrentNetwork
        From a code, at every step, to a sequence: one output a step, in one direction.
    """

    encoder: RecurrentNetwork | OwnRecurrentNetwork
    decoder: RecurrentNetwork

    @classmethod
    def of(
        cls,
        n_channels: int,
        n_components: int,
        hidden_size: int,
        *,
        cell: str | Factory = "lstm",
        bidirectional: bool = False,
        output_activation: str = "identity",
        **layers,
    ) -> SequenceAutoencoder:
        """Encoder and decoder of the same `layers`, for sequences of `n_channels` numbers a step.

        Parameters
        ----------
        n_channels, n_components, hidden_size : int
        cell : str or callable
            A user's own is that of the encoder; the decoder, which begins at a state, then is an
            LSTM.
        bidirectional : bool
            Of the encoder.
        output_activation : str
            Of the decoder.
        **layers
            `n_layers`, `activation` and `dropout`, as of `RecurrentNetwork`.
        """
        encoder = recurrent_network(
            cell,
            n_channels,
            hidden_size,
            n_components,
            bidirectional=bidirectional,
            pooling="last",
            input_skip=False,
            **layers,
        )
        decoder = RecurrentNetwork(
            n_components,
            hidden_size,
            n_channels,
            pooling=None,
            cell="lstm" if callable(cell) else cell,
            input_skip=True,
            output_activation=output_activation,
            **layers,
        )
        return cls(encoder, decoder)

    @property
    def n_components(self) -> int:
        """Size K of a code."""
        return self.encoder.n_outputs

    @property
    def dropout(self) -> float:
        """Rate of dropout, on both sides."""
        return self.encoder.dropout

    @property
    def output_activation(self) -> str:
        """Of the decoder."""
        return self.decoder.output_activation

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of a step, or of the code, from the input to the output."""
        return self.encoder.widths + self.decoder.widths[1:]

    @property
    def states_per_step(self) -> int:
        """Numbers that all layers make of a step."""
        return self.encoder.states_per_step + self.decoder.states_per_step

    @property
    def numbers_per_step(self) -> int:
        """Numbers that a pass and its way back hold of each step, not more than there are."""
        of_both = self.encoder.numbers_per_step + self.decoder.numbers_per_step
        return of_both + self.n_components  # whose gradient is one a step, too

    @property
    def numbers_per_row(self) -> int:
        """The same of each sequence, whatever its length."""
        return self.encoder.numbers_per_row + sum(self.decoder.state_widths)

    @property
    def largest_product(self) -> int:
        """Multiplications per row in the largest matrix product of a step."""
        return max(self.encoder.largest_product, self.decoder.largest_product)

    @cached_property
    def layout(self) -> Layout:
        """Where the parameters lie in a flat vector: encoder's, first state's, decoder's."""
        first = {f"{BEGIN}.weight": (self.n_components + 1, sum(self.decoder.state_widths))}
        encoder, decoder = (
            {f"{side}.{name}": shape for name, shape in network.layout.shapes.items()}
            for side, network in ((ENCODER, self.encoder), (DECODER, self.decoder))
        )
        return Layout({**encoder, **first, **decoder})

    def split(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Views of `flat` (..., P): the encoder's, what makes the first state, the decoder's.

        The one in the middle is (K + 1, state width) of the first model.
        """
        first = self.encoder.layout.size
        last = self.layout.size - self.decoder.layout.size
        shape = self.layout.shapes[f"{BEGIN}.weight"]
        # pieces one by one: torch does not let those of `split` be written to in every mode
        begin = flat[..., first:last].view(-1, *shape)[0]
        return flat[..., :first], begin, flat[..., last:]

    @property
    def penalised(self) -> Tensor:
        """Mask (P,): 1 for weights, 0 for biases."""
        mask = torch.ones(self.layout.size, device="cpu")
        encoder, begin, decoder = self.split(mask)
        encoder.copy_(self.encoder.penalised)
        begin[-1] = 0
        decoder.copy_(self.decoder.penalised)
        return mask

    def with_dropout(self, rate: float) -> SequenceAutoencoder:
        """The same network with another rate of dropout."""
        return replace(
            self, encoder=self.encoder.with_dropout(rate), decoder=self.decoder.with_dropout(rate)
        )

    def bound(self, theta: Tensor, grad: Tensor | None) -> BoundAutoencoder:
        """Views of parameters and gradients (1, P) for `passes`."""
        return BoundAutoencoder(self, theta, grad)

    def passes(
        self, bound: BoundAutoencoder, packing: Packing, **how: bool
    ) -> SequenceAutoencoderPasses:
        """Forward and backward passes over batches of a packing."""
        return SequenceAutoencoderPasses(self, bound, packing, **how)

    def start(self, theta: Tensor, generator: torch.Generator, bias: Tensor | float = 0.0) -> None:
        """Write random parameters into `theta` (P,).

        The output starts at `bias` (O,), as that of any recurrent network; codes do not start at
        zero, or nothing would ever move.
        """
        encoder, begin, decoder = self.split(theta)
        self.encoder.start(encoder, generator)
        self.encoder.start_output(encoder, generator)
        begin.zero_()
        start_weights(begin[:-1], generator)
        self.decoder.start(decoder, generator, bias)

    def module(self, theta: Tensor, **units: Tensor | None) -> SequenceAutoencoderModule:
        """A plain module with copies of `theta` (P,) and of scalings, in eval mode."""
        encoder, begin, decoder = self.split(theta)
        ins = {name: value for name, value in units.items() if name.startswith("x_")}
        outs = {name: value for name, value in units.items() if name.startswith("y_")}
        return SequenceAutoencoderModule(
            self.encoder.module(encoder, **ins),
            linear_from(begin[:-1], begin[-1]),
            self.decoder.module(decoder, **outs),
        ).eval()

    def module_from(self, weights: dict[str, Tensor]) -> SequenceAutoencoderModule:
        """The module whose ``state_dict`` is `weights`."""
        theta = weights[f"{BEGIN}.weight"].new_zeros(self.layout.size)
        sides = {name: ENCODER if name.startswith("x_") else DECODER for name in UNITS}
        units = {name: weights.get(f"{side}.{name}") for name, side in sides.items()}
        module = self.module(theta, **units)
        module.load_state_dict(weights)
        return module

    def pack(self, module: SequenceAutoencoderModule, theta: Tensor) -> None:
        """Write the parameters of `module` into `theta` (P,)."""
        encoder, begin, decoder = self.split(theta)
        self.encoder.pack(module.encoder, encoder)
        begin[:-1] = module.begin.weight.T
        begin[-1] = module.begin.bias
        self.decoder.pack(module.decoder, decoder)
