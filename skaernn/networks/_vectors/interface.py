"""What the networks of all autoencoders have in common, whatever lies between their two ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from .._layout import Layout
from .module import AutoencoderModule, Side, VariationalModule
from .penalties import Penalty

MASK_NUMBERS = 3  # that are held for each number of a mask of dropout while it is drawn


class Spread(NamedTuple):
    """How the numbers that a network is to read lie, as far as means and variances tell.

    Attributes
    ----------
    mean : Tensor of shape (F,)
        Of the rows.
    rows : Tensor of shape (F,)
        For each of their numbers, the root of the mean variance.
    codes : Tensor of shape (C,)
        Standard deviation of each component of the codes to begin with.
    """

    mean: Tensor
    rows: Tensor
    codes: Tensor


class AutoencoderNetwork(ABC):
    """Description of an autoencoder of vectors; holds no parameters.

    Attributes
    ----------
    n_features, n_components : int
        Widths F of the input and C of the code.
    code_activation, output_activation : str
        Keys of `ACTIVATIONS` (the second also of `OUTPUTS`).
    linear_path : bool
        Whether an affine map stands beside the network on either side.
    dropout : float
        Probability of dropping a hidden unit in training.
    tied_weights : bool
        Whether the decoder's weights are the encoder's, transposed.
    variational : bool
        Whether the encoder gives means and log-variances of a Gaussian, not codes.
    draws : bool
        Whether the network draws random numbers of its own in training.
    path_by_default : bool
        Whether this kind of network has the linear path unless it is told otherwise.
    """

    n_features: int
    n_components: int
    code_activation: str = "identity"
    output_activation: str = "identity"
    linear_path: bool = False
    dropout: float = 0.0
    tied_weights: bool = False
    variational: bool = False
    draws: ClassVar[bool] = False
    path_by_default: ClassVar[bool] = False

    @classmethod
    def refusal(cls, given: Mapping[str, Any]) -> str | None:
        """Why a network of this kind cannot have what parameters, by name, ask for, if so."""
        if given["image_shape"] is None:
            return None
        return (
            f"image_shape={given['image_shape']!r} is read by architecture='convolutional' only, "
            f"got architecture={given['architecture']!r}."
        )

    @property
    def n_encoded(self) -> int:
        """Width E of the encoder's output: C, or twice that."""
        return self.n_components * (2 if self.variational else 1)

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """Where the parameters lie in theta."""

    @property
    @abstractmethod
    def penalised(self) -> Tensor:
        """Mask (P,): 1 for what the L2 penalty acts on, 0 for biases and linear path."""

    @property
    @abstractmethod
    def largest_product(self) -> int:
        """Multiplications per row in the largest product of a pass."""

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a pass and its way back hold of each row, as far as they are known.

        Not more than there are: too many would refuse what memory can hold.
        """
        return 3 * self.n_features + 2 * self.n_encoded

    @abstractmethod
    def start(
        self, theta: Tensor, generator: torch.Generator, spread: Spread | None = None
    ) -> None:
        """Write random weights into `theta` (P,); with a linear path the network starts at zero.

        The path itself is left at zero. `spread` is there to be read, where it is known.
        """

    @abstractmethod
    def start_path(
        self, theta: Tensor, encode: Tensor, shift: Tensor, decode: Tensor, bias: Tensor
    ) -> None:
        """Set the affine maps x encode + shift and h decode + bias in a started `theta` (P,).

        Shapes: (F, E), (E,), (C, F) and (F,).
        """

    @abstractmethod
    def module(
        self, theta: Tensor, mean: Tensor | None = None, scale: Tensor | None = None
    ) -> AutoencoderModule:
        """A plain module with copies of `theta` (P,), `mean` and `scale`, in eval mode."""

    @abstractmethod
    def module_from(self, weights: dict[str, Tensor]) -> AutoencoderModule:
        """The module whose ``state_dict`` is `weights`."""

    @abstractmethod
    def pack(self, module: AutoencoderModule, theta: Tensor) -> None:
        """Write the parameters of `module` into `theta` (P,): the inverse of `module`."""

    @abstractmethod
    def passes(
        self,
        theta: Tensor,
        grad: Tensor | None,
        n_rows: int,
        *,
        linear_output: bool,
        penalty: Penalty | None = None,
    ) -> Passes:
        """Passes over batches of one size, bound to `theta` and `grad` (K, P).

        Parameters
        ----------
        theta, grad : Tensor of shape (K, P)
            Looked into, not copied. Without `grad` there is no `backward`.
        n_rows : int
            Rows B of a batch.
        linear_output : bool
            Leave out `output_activation`, for a loss defined on what comes before it.
        penalty : Penalty or None
            What else there will be a gradient from: through `Passes.d_encoded`, or through
            `Passes.contract`.
        """

    def compiles(self, *, linear_output: bool, penalty: Penalty | None = None) -> bool:
        """Whether there are `compiled_passes`."""
        return False

    def compiled_passes(
        self,
        theta: Tensor,
        grad: Tensor | None,
        n_rows: int,
        *,
        linear_output: bool,
        penalty: Penalty | None = None,
    ) -> CompiledPasses:
        """The same as `passes`, in operations of the compiled kernels; of one model (K = 1)."""
        raise NotImplementedError

    def with_dropout(self, rate: float) -> AutoencoderNetwork:
        """The same network with another rate of dropout, where it has any."""
        return replace(self, dropout=rate)

    def joined(
        self, encoder: Side, decoder: Side, mean: Tensor | None, scale: Tensor | None
    ) -> AutoencoderModule:
        """Both sides as one module, with copies of `mean` and `scale`, in eval mode."""
        kind = VariationalModule if self.variational else AutoencoderModule
        units = (None if value is None else value.clone() for value in (mean, scale))
        return kind(encoder, decoder, *units).eval()


class CompiledPasses(Protocol):
    """What `Passes` have, as memory and operations on it; see there."""

    x: Tensor
    encoded: Tensor
    output: Tensor
    delta: Tensor
    d_encoded: Tensor
    noise: Tensor | None
    masks: list[Tensor]
    tapes: tuple[list, list]

    def new_masks(self, keys: Tensor, seed: int, epoch: int) -> list[Tensor]:
        """Masks of dropout (B, width) for the rows whose content hashes are `keys` (B,)."""


class Passes(ABC):
    """Forward and backward through an autoencoder, batches of one size, K models.

    Attributes
    ----------
    x : Tensor of shape (K, B, F)
        Write the batch here.
    encoded : Tensor of shape (K, B, E)
        Holds the encoder's output after `forward`: codes, or means and log-variances.
    output : Tensor of shape (K, B, F)
        Holds the reconstruction after `forward`.
    delta : Tensor of shape (K, B, F)
        Write the gradient of the loss with respect to `output` here, before `backward`.
        Contiguous.
    d_encoded : Tensor of shape (K, B, E)
        Write the gradient of the penalty with respect to `encoded` here, if there is one.
    noise : Tensor of shape (K, B, C) or None
        What codes of a variational network are drawn with: so many deviations from the mean.
        Zero at first.
    """

    x: Tensor
    encoded: Tensor
    output: Tensor
    delta: Tensor
    d_encoded: Tensor
    noise: Tensor | None = None

    @abstractmethod
    def forward(self) -> None:
        """From `x` to `output`."""

    @abstractmethod
    def backward(self) -> None:
        """From `delta` and `d_encoded` to the gradient of every parameter, overwritten."""

    @abstractmethod
    def draw_masks(self, keys: Tensor, seed: int, epoch: int) -> None:
        """New dropout masks for the rows whose content hashes are `keys` (B,)."""

    def contract(self, strength: float, weight: Tensor | None) -> Tensor:
        """Value (K,) of the contractive penalty after `forward`; `backward` minds its gradient."""
        raise NotImplementedError
