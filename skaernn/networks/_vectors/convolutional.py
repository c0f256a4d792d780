"""The convolutional autoencoder: rows are images, and near pixels belong together.

Every layer of the encoder halves height and width, rounding up, by a convolution of stride 2
(Springenberg, Dosovitskiy, Brox & Riedmiller 2015); a linear layer makes codes of what is left.
The decoder is the mirror image, of transposed convolutions (Zeiler, Krishnan, Taylor & Fergus
2010; Dumoulin & Visin 2016 for the arithmetic of their sizes), and gives back any height and
width exactly. Beside the networks g there may be an affine path, as in the dense autoencoder::

    h = f_enc(g_enc(x) + x A + a)        x' = f_dec(g_dec(h) + h B + b)

An image is (channels, height, width) to torch and lies in memory as (height, width, channels), as
a row of X does: what turns one into the other is a view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .._activations import ACTIVATIONS, OUTPUTS
from .._linear import TransposedLinear, with_memory
from .autograd import KeyedDropout, ModuleNetwork
from .interface import MASK_NUMBERS
from .module import FIRST_LOG_VARIANCE, Side


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


Shape = tuple[int, int, int]  # height, width, channels


def check_image_shape(image_shape: Sequence[int] | None, n_features: int) -> Shape:
    """Height, width and channels of the image that a row is.

    Parameters
    ----------
    image_shape : (height, width), (height, width, channels) or None
        None: a row is one line of pixels.
    n_features : int
        Numbers in a row.

    Returns
    -------
    tuple of three int

    Raises
    ------
    ValueError
        If `image_shape` is no such tuple, or stands for another number of features.

    Examples
    --------
    >>> from skaernn.networks import check_image_shape
    >>> check_image_shape((8, 8), 64)
    (8, 8, 1)
    >>> check_image_shape(None, 64)
    (1, 64, 1)
    """
    if image_shape is None:
        return 1, n_features, 1
    wanted = "(height, width) or (height, width, channels), whole numbers of at least 1"
    try:
        sizes = tuple(size.__index__() for size in image_shape)
    except (TypeError, AttributeError):
        sizes = ()
    if len(sizes) not in (2, 3) or min(sizes) < 1:
        raise ValueError(f"image_shape={image_shape!r} must be {wanted}.")
    height, width, channels = (*sizes, 1)[:3]
    size = math.prod(sizes)
    if size != n_features:
        raise ValueError(
            f"image_shape={sizes!r} stands for {size} numbers a row, but X has {n_features} "
            f"features; image_shape must be {wanted}, whose product is the number of features "
            "(None: a row is one line of pixels)."
        )
    return height, width, channels


@dataclass(frozen=True)
class ConvolutionalAutoencoder(ModuleNetwork):
    """Description of a convolutional autoencoder; holds no parameters.

    Parameters
    ----------
    n_features, n_components : int
        Numbers F in an image, and width C of the code.
    hidden_layer_sizes : tuple of int
        Channels of the encoder's layers, one at least; the decoder mirrors them.
    image_shape : (height, width), (height, width, channels) or None
        A row of X is the image with its channels last, ``image.reshape(-1)``. None: a row is one
        line of pixels.
    activation, code_activation : str
        Keys of `ACTIVATIONS`.
    output_activation : str
        Key of `OUTPUTS`.
    linear_path : bool
        Whether an affine map stands beside the network on either side.
    dropout : float
        Probability of dropping a hidden unit (one number of one channel) in training.
    tied_weights : bool
        Whether the decoder's kernels and matrices are the encoder's, transposed.
    variational : bool
        Whether the encoder gives means and log-variances, not codes.

    Examples
    --------
    >>> import torch
    >>> from skaernn.networks import ConvolutionalAutoencoder
    >>> network = ConvolutionalAutoencoder(35, 2, (4, 8), image_shape=(5, 7))
    >>> theta = torch.zeros(network.layout.size)
    >>> network.start(theta, torch.Generator().manual_seed(0))
    >>> network.module(theta).encode(torch.ones(3, 35)).shape
    torch.Size([3, 2])
    """

    n_features: int
    n_components: int
    hidden_layer_sizes: tuple[int, ...] = (16, 32)
    image_shape: tuple[int, ...] | None = None
    activation: str = "relu"
    code_activation: str = "identity"
    output_activation: str = "identity"
    linear_path: bool = False
    dropout: float = 0.0
    tied_weights: bool = False
    variational: bool = False

    def __post_init__(self):
        shape = check_image_shape(self.image_shape, self.n_features)
        object.__setattr__(self, "image_shape", shape)

    @classmethod
    def refusal(cls, given):
        """See `AutoencoderNetwork`."""
        sizes = given["hidden_layer_sizes"]
        if isinstance(sizes, int) or len(sizes):
            return None
        return (
            "architecture='convolutional' needs the channels of at least one layer in "
            "hidden_layer_sizes, got ()."
        )

    @property
    def shapes(self) -> list[Shape]:
        """What an image becomes, layer by layer of the encoder."""
        shapes = [self.image_shape]
        for channels in self.hidden_layer_sizes:
            height, width, _ = shapes[-1]
            shapes.append((-(-height // 2), -(-width // 2), channels))
        return shapes

    @property
    def largest_product(self):
        """Multiplications per row in the largest product of a pass."""
        linear = math.prod(self.shapes[-1]) * self.n_encoded
        path = self.n_features * self.n_encoded * self.linear_path
        convolutions = [
            math.prod(after) * before[2] * math.prod(_kernel(before)["kernel_size"])
            for before, after in pairwise(self.shapes)
        ]
        return max(linear, path, *convolutions)

    @property
    def numbers_per_row(self):
        """Numbers that a pass and its way back hold of each row: maps, those of one layer twice.

        On the way back, maps go as their gradients come.
        """
        maps = [math.prod(shape) for shape in self.shapes[1:]]
        kept = 1 + ACTIVATIONS[self.activation].needs_input
        if not self.dropout:
            return super().numbers_per_row + 2 * kept * sum(maps) + max(maps)
        return super().numbers_per_row + 2 * (kept + 2) * sum(maps) + MASK_NUMBERS * max(maps)

    def fresh(self, device):
        """See `ModuleNetwork`."""
        # made without memory, and then given some: nothing is drawn from the global generator
        path = nn.Linear(self.n_features, self.n_encoded, device="meta")
        layers = self._encoder()
        encoder = Side(
            nn.Sequential(*layers),
            path if self.linear_path else None,
            OUTPUTS[self.code_activation](),
        )
        tied = [layer for layer in layers if isinstance(layer, (nn.Conv2d, nn.Linear))]
        if self.tied_weights:
            back = TransposedLinear(path, self.n_components, _bias(self.n_features))
        else:
            back = nn.Linear(self.n_components, self.n_features, device="meta")
        decoder = Side(
            nn.Sequential(*self._decoder(tied)),
            back if self.linear_path else None,
            OUTPUTS[self.output_activation](),
        )
        for side in (encoder, decoder):
            side.to(memory_format=torch.channels_last)
            if torch.device(device).type != "meta":
                with_memory(side, device)
        return encoder, decoder

    def _encoder(self) -> list[nn.Module]:
        """From rows to what the path is added to: its bias is then the only one."""
        layers: list[nn.Module] = [RowsToImages(*self.shapes[0])]
        for before, after in pairwise(self.shapes):
            convolution = nn.Conv2d(before[2], after[2], **_kernel(before), device="meta")
            layers += [convolution, *self._hidden()]
        width = math.prod(self.shapes[-1])
        last = nn.Linear(width, self.n_encoded, bias=not self.linear_path, device="meta")
        return [*layers, ImagesToRows(), last]

    def _decoder(self, encoder: list[nn.Module]) -> list[nn.Module]:
        """The mirror image of the layers with weights of the encoder."""
        *convolutions, last = encoder
        width = math.prod(self.shapes[-1])
        if self.tied_weights:
            first = TransposedLinear(last, self.n_components, _bias(width))
        else:
            first = nn.Linear(self.n_components, width, device="meta")
        layers = [first, *self._hidden(), RowsToImages(*self.shapes[-1])]
        sizes = list(pairwise(self.shapes))
        for i in reversed(range(len(convolutions))):
            after, before = sizes[i]  # here it is the other way round
            has_bias = i > 0 or not self.linear_path
            # of an even number of pixels the last one is beyond the last stride
            padding = tuple(int(size % 2 == 0) for size in after[:2])
            if self.tied_weights:
                bias = _bias(after[2]) if has_bias else None
                layers.append(TransposedConvolution(convolutions[i], bias, padding))
            else:
                transposed = nn.ConvTranspose2d(
                    before[2],
                    after[2],
                    **_kernel(after),
                    output_padding=padding,
                    bias=has_bias,
                    device="meta",
                )
                layers.append(transposed)
            layers += self._hidden() if i else [ImagesToRows()]
        return layers

    def _hidden(self) -> list[nn.Module]:
        """What follows a hidden layer."""
        dropout = [KeyedDropout(self.dropout)] if self.dropout else []
        return [ACTIVATIONS[self.activation].module(), *dropout]

    def start(self, theta, generator, spread=None):
        """Write random weights into `theta` (P,).

        Weights after Glorot & Bengio (2010), biases uniform within 1 / sqrt(inputs). With a linear
        path the last layer on each side starts at zero, so that the path alone speaks. (Where
        weights are tied, so does the first layer of the decoder, which then adds a constant.)
        """
        module = self.bound(theta)
        for side in (module.encoder, module.decoder):
            layers = [m for m in side.network if hasattr(m, "bias")]
            for layer in layers:
                silent = self.linear_path and layer is layers[-1]
                n_in, n_out = _fans(layer)
                spans = {"weight": math.sqrt(6.0 / (n_in + n_out)), "bias": n_in**-0.5}
                for name, parameter in layer.named_parameters():
                    if silent:
                        parameter.data.zero_()
                        continue
                    # drawn in float32 on the CPU: the same start for every dtype and device
                    draw = torch.empty(parameter.shape, dtype=torch.float32, device="cpu")
                    draw.uniform_(-spans[name], spans[name], generator=generator)
                    parameter.data.copy_(draw)
            for parameter in () if side.path is None else side.path.parameters():
                parameter.data.zero_()
        if self.variational and not self.linear_path:
            module.encoder.network[-1].bias.data[self.n_components :] = FIRST_LOG_VARIANCE

    def start_path(self, theta, encode, shift, decode, bias):
        """Set the affine maps x encode + shift and h decode + bias in a started `theta` (P,).

        With tied weights the second matrix is the transpose of the first, and `decode` is not
        read.
        """
        module = self.bound(theta)
        inward, outward = module.encoder.path, module.decoder.path
        with torch.no_grad():
            inward.weight.copy_(encode.T)
            inward.bias.copy_(shift)
            outward.bias.copy_(bias)
            if not self.tied_weights:
                outward.weight.copy_(decode.T)
            else:  # what the decoder says to a code, whatever the code: its first layer is zero
                silence = theta.new_zeros(1, self.n_components)
                outward.bias.sub_(module.decoder.network(silence)[0])


def _kernel(shape: Shape) -> dict[str, tuple[int, int]]:
    """How a convolution halves an image: three pixels at a time, or one where there is one."""
    long = [size > 1 for size in shape[:2]]
    return {
        "kernel_size": tuple(3 if is_long else 1 for is_long in long),
        "stride": tuple(2 if is_long else 1 for is_long in long),
        "padding": tuple(int(is_long) for is_long in long),
    }


def _bias(width: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(width, device="meta"))


def _fans(layer: nn.Module) -> tuple[float, float]:
    """Numbers that one output is made of, and that one input goes into, on average."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        size = math.prod(layer.kernel_size)
        met = size / math.prod(layer.stride)  # of a kernel, by a pixel of the larger image
        if isinstance(layer, nn.Conv2d):
            return layer.in_channels * size, layer.out_channels * met
        return layer.in_channels * met, layer.out_channels * size
    return layer.n_inputs, 0  # with a bias of its own alone
