"""Cells as users bring them: modules of (x, lengths), good and careless."""

import torch
from torch import nn


class Attention(nn.Module):
    """A Transformer encoder that minds padding, with positions."""

    def __init__(self, n_inputs, hidden_size):
        super().__init__()
        self.embed = nn.Linear(n_inputs, hidden_size)
        layer = nn.TransformerEncoderLayer(
            hidden_size, 2, 2 * hidden_size, dropout=0.1, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x, lengths):
        t = torch.arange(x.shape[1], device=x.device)
        positions = torch.sin(t / 3).to(x.dtype)[:, None]
        return self.layers(self.embed(x) + positions, src_key_padding_mask=t >= lengths[:, None])


class WrappedGRU(nn.Module):
    """torch's own layer, on packed sequences."""

    def __init__(self, n_inputs, hidden_size):
        super().__init__()
        self.gru = nn.GRU(n_inputs, hidden_size, batch_first=True)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        h, _ = self.gru(packed)
        return nn.utils.rnn.pad_packed_sequence(h, batch_first=True, total_length=x.shape[1])[0]


class FromTheEnd(nn.Module):
    """Reads backwards from the end of the array, padding and all: a mistake."""

    def __init__(self, n_inputs, hidden_size):
        super().__init__()
        self.gru = nn.GRU(n_inputs, hidden_size, batch_first=True)

    def forward(self, x, lengths):
        return self.gru(x.flip(1) + 1)[0].flip(1)


class MeanOfTheBatch(nn.Module):
    """Compares every sequence with those beside it: a mistake."""

    def __init__(self, n_inputs, hidden_size):
        super().__init__()
        self.layer = nn.Linear(n_inputs, hidden_size)

    def forward(self, x, lengths):
        return self.layer(x - x.mean(0)).tanh()


class Normalised(nn.Module):
    """With buffers that training changes."""

    def __init__(self, n_inputs, hidden_size):
        super().__init__()
        self.layer = nn.Linear(n_inputs, hidden_size)
        self.norm = nn.BatchNorm1d(hidden_size)

    def forward(self, x, lengths):
        return self.norm(self.layer(x).flatten(0, 1)).view(*x.shape[:2], -1).relu()


def attention(n_inputs, hidden_size):
    return Attention(n_inputs, hidden_size)


def wrapped_gru(n_inputs, hidden_size):
    return WrappedGRU(n_inputs, hidden_size)


def normalised(n_inputs, hidden_size):
    return Normalised(n_inputs, hidden_size)


GOOD = {"attention": attention, "gru": wrapped_gru, "batch norm": normalised}
