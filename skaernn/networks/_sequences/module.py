"""The fitted recurrent network as a plain `torch.nn.Module`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .._activations import MeanAndDeviation

_FARTHEST = 1e18  # scaled input
UNITS = "x_mean", "x_scale", "y_mean", "y_scale"  # of inputs and of targets
PATH = "path_basis", "path_start"  # of the map from a window
CONSTANTS = *UNITS, *PATH


class RecurrentModule(nn.Module):
    """A recurrent network from sequences to vectors, or to a vector a step, in the user's units.

    Parameters
    ----------
    layers : nn.Module
        `nn.RNN`, `nn.LSTM` or `nn.GRU`; what steps any other cell; or the user's own.
    pooling : nn.Module or None
        What becomes of the steps. None: one output a step.
    output : nn.Linear
    activation : nn.Module
        f_o, or the inverse link of the loss.
    input_skip : bool
        Whether `output` reads the input as well.
    x_mean, x_scale, y_mean, y_scale : Tensor or None
        The network's inputs are (x - x_mean) / x_scale, its outputs (y - y_mean) / y_scale.
    path_basis : Tensor of shape (T C + 1, r) or None
        Directions of a window, the scaled steps of a sequence in a row, padded with zeros or cut
        to T steps, and a one. `output` reads what lies along them as well.
    path_start : Tensor of shape (T C + 1, O) or None
        The map from a window to the outputs that training began with, to be added to these.

    Examples
    --------
    >>> import torch
    >>> from skaernn import RNNSequenceRegressor
    >>> X = torch.linspace(0, 1, 40).reshape(2, 20, 1)
    >>> module = RNNSequenceRegressor(max_iter=1).fit(X, [0.0, 1.0]).module_
    >>> with torch.inference_mode():
    ...     module(X).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        layers: nn.Module,
        pooling: nn.Module | None,
        output: nn.Linear,
        activation: nn.Module,
        *,
        input_skip: bool,
        x_mean: Tensor | None = None,
        x_scale: Tensor | None = None,
        y_mean: Tensor | None = None,
        y_scale: Tensor | None = None,
        path_basis: Tensor | None = None,
        path_start: Tensor | None = None,
    ):
        super().__init__()
        self.layers, self.pooling = layers, pooling
        self.output, self.activation = output, activation
        self.input_skip = input_skip
        constants = x_mean, x_scale, y_mean, y_scale, path_basis, path_start
        for name, value in zip(CONSTANTS, constants, strict=True):
            self.register_buffer(name, value)

    @property
    def dtype(self) -> torch.dtype:
        """The floating type it computes in."""
        return self.output.weight.dtype

    @property
    def units(self) -> dict[str, Tensor | None]:
        """What inputs and targets are scaled by."""
        return {name: getattr(self, name) for name in UNITS}

    @property
    def path(self) -> dict[str, Tensor | None]:
        """What the map from a window is made of, beside the weights of the output."""
        return {name: getattr(self, name) for name in PATH}

    def window_weight(self) -> Tensor | None:
        """The whole map from a window, (T C + 1, O), biases last; None: there is none."""
        if self.path_start is None:
            return None
        trained = self.output.weight[:, self.output.in_features - self.path_basis.shape[1] :]
        return self.path_start + self.path_basis @ trained.T

    def to_scaled(self, x: Tensor) -> Tensor:
        """Inputs from the user's units to the network's, in the wider type until last."""
        if self.x_mean is not None:
            # what lies beyond all that was fitted must not become infinite
            x = ((x - self.x_mean) / self.x_scale).clamp(-_FARTHEST, _FARTHEST)
        return x.to(self.dtype)

    def to_units(self, output: Tensor) -> Tensor:
        """Outputs, activated, from the network's units to the user's.

        Means and standard deviations side by side: the latter are scaled and not moved.
        """
        if self.y_mean is None:
            return output
        if isinstance(self.activation, MeanAndDeviation):
            mean, deviation = output.chunk(2, dim=-1)
            return torch.cat([mean * self.y_scale + self.y_mean, deviation * self.y_scale], -1)
        return output * self.y_scale + self.y_mean

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: Tensor | None = None
    ) -> Tensor:
        """Outputs (n, O) of sequences (n, T, C), or (n, T, O), one a step.

        Steps beyond `lengths` (n,) are not read; outputs there are without meaning. In one
        direction the layers may begin at `state` (n, width): h(, c) of each. None: zeros. Not if
        the output reads windows, which begin with their sequence.
        """
        if state is not None and self.path_start is not None:
            raise ValueError("A network that reads windows wants whole sequences, and no state.")
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1])
        return self.to_units(self.answers(self.to_scaled(x), lengths, state))

    def answers(self, x: Tensor, lengths: Tensor, state: Tensor | None = None) -> Tensor:
        """The same from scaled sequences, in the network's units."""
        lengths = lengths.cpu()
        valid = torch.arange(x.shape[1], device=x.device) < lengths[:, None].to(x.device)
        x = torch.where(valid[..., None], x, 0)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        packed, states = self.layers(packed, self._begin(state))
        h, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
        final = states[0] if isinstance(states, tuple) else states  # (layers, n, H)
        final = final[-2:] if self.layers.bidirectional else final[-1:]
        final = final.transpose(0, 1).flatten(1)
        return self.activation(self.linear(self.read(h, x, valid, final), x))

    def linear(self, read: Tensor, x: Tensor) -> Tensor:
        """The output before its activation; `x` (n, T, C) is zero where no step is."""
        if self.path_start is None:
            return self.output(read)
        width = len(self.path_start) - 1
        window = functional.pad(x.flatten(1), (0, max(0, width - x[0].numel())))[:, :width]
        window = functional.pad(window, (0, 1), value=1.0)
        return self.output(torch.cat([read, window @ self.path_basis], 1)) + (
            window @ self.path_start
        )

    def read(self, h: Tensor, x: Tensor, valid: Tensor, final: Tensor) -> Tensor:
        """What the output layer reads: of every step (n, T, H + C), or pooled (n, H + C).

        Shapes: (n, T, H), (n, T, C), (n, T), and of the last steps of all directions (n, H).
        """
        skipped = x if self.input_skip else x[..., :0]
        if self.pooling is None:
            return torch.cat([h, skipped], dim=-1)
        return self.pooling(h, skipped, valid, final)

    def _begin(self, state: Tensor | None):
        """States as the layers want them, (layers, n, H) for h(, c)."""
        if state is None:
            return None
        parts = state.split(self.layers.hidden_size, dim=1)
        n_states = len(parts) // self.layers.num_layers
        states = tuple(torch.stack(parts[i::n_states]) for i in range(n_states))
        return states if n_states > 1 else states[0]


class SequenceAutoencoderModule(nn.Module):
    """An autoencoder between sequences in the user's units and codes.

    Parameters
    ----------
    encoder : RecurrentModule
        From sequences to codes.
    begin : nn.Linear
        From a code to the states that the decoder begins with.
    decoder : RecurrentModule
        From the code, at every step, to the steps of a sequence.

    Examples
    --------
    >>> import torch
    >>> from skaernn import SequenceAutoencoderTransformer
    >>> X = torch.linspace(0, 1, 40).reshape(2, 20, 1)
    >>> module = SequenceAutoencoderTransformer(max_iter=1).fit(X).module_
    >>> with torch.inference_mode():
    ...     module.encode(X).shape, module(X).shape
    (torch.Size([2, 2]), torch.Size([2, 20, 1]))
    """

    def __init__(self, encoder: RecurrentModule, begin: nn.Linear, decoder: RecurrentModule):
        super().__init__()
        self.encoder, self.begin, self.decoder = encoder, begin, decoder

    @property
    def dtype(self) -> torch.dtype:
        """The floating type it computes in."""
        return self.begin.weight.dtype

    @property
    def units(self) -> dict[str, Tensor | None]:
        """What inputs and targets are scaled by."""
        ins, outs = self.encoder.units, self.decoder.units
        return {name: (ins if name.startswith("x_") else outs)[name] for name in UNITS}

    def encode(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Codes (n, K) of sequences (n, T, C); steps beyond `lengths` (n,) are not read."""
        return self.encoder(x, lengths)

    def decode(self, code: Tensor, lengths: Tensor) -> Tensor:
        """Sequences (n, T, C) of `lengths` (n,), at most T; without meaning beyond these."""
        code = code.to(self.dtype)
        repeated = code[:, None].expand(-1, int(lengths.max()), -1)
        return self.decoder(repeated, lengths, self.begin(code))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Reconstructions (n, T, C) of sequences (n, T, C)."""
        code = self.encode(x, lengths)
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1])
        return self.decode(code, lengths)
