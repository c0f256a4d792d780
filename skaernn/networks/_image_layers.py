"""Layers between rows and images, and convolutions whose weights another layer holds.

An image is (channels, height, width) to torch and lies in memory as (height, width, channels), as
a row of X does: what turns one into the other is a view.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional


class RowsToImages(nn.Module):
    """From rows (n, height * width * channels) to images (n, channels, height, width)."""

    def __init__(self, height: int, width: int, channels: int):
        super().__init__()
        self.shape = height, width, channels

    def extra_repr(self) -> str:
        return "height={}, width={}, channels={}".format(*self.shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self.shape).permute(0, 3, 1, 2)


class ImagesToRows(nn.Module):
    """From images (n, channels, height, width) to rows (n, height * width * channels)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class TransposedConvolution(nn.Module):
    """The transpose of a convolution that another module holds.

    Parameters
    ----------
    of : nn.Conv2d
    bias : nn.Parameter or None
    output_padding : tuple of int
        Rows and columns that the convolution had left out at the end.
    """

    def __init__(self, of: nn.Conv2d, bias: nn.Parameter | None, output_padding: tuple[int, int]):
        super().__init__()
        self._of = (of,)
        self.n_inputs = of.out_channels * math.prod(of.kernel_size)
        self.output_padding = output_padding
        self.register_parameter("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        of = self._of[0]
        return functional.conv_transpose2d(
            x, of.weight, self.bias, of.stride, of.padding, self.output_padding
        )
