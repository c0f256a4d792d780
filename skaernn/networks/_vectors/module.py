"""The fitted network as a plain `torch.nn.Module`, for users and for prediction."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

LOG_VARIANCES = -30.0, 20.0  # of a posterior: beyond, their exponentials are of no use

# Where log-variances start without a linear path: codes that are nearly sure, which the decoder
# learns to read before the divergence does away with them.
FIRST_LOG_VARIANCE = -4.0


class Side(nn.Module):
    """Encoder or decoder: activation(network(x) + path(x)).

    Parameters
    ----------
    network : nn.Module
        The nonlinear part; its last layer is linear.
    path : nn.Module or None
        The affine map beside it.
    activation : nn.Module
        Applied to the sum.
    """

    def __init__(self, network: nn.Module, path: nn.Module | None, activation: nn.Module):
        super().__init__()
        self.network = network
        self.path = path
        self.activation = activation

    def before(self, x: Tensor) -> Tensor:
        """What the activation is applied to."""
        z = self.network(x)
        return z if self.path is None else z + self.path(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.before(x))


class AutoencoderModule(nn.Module):
    """An autoencoder between vectors in the user's units and codes.

    Parameters
    ----------
    encoder, decoder : nn.Module
        Maps between scaled vectors (n, F) and codes (n, C).
    mean, scale : Tensor or None
        What scaled vectors are: (x - mean) / scale. None: as they are.

    Attributes
    ----------
    ends : Tensor of shape (2, F) or None
        Where decoded vectors are cut off, in the user's units, which is set after the fit.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skaernn import AutoencoderTransformer
    >>> X = load_iris().data
    >>> module = AutoencoderTransformer(max_iter=5, random_state=0).fit(X).module_
    >>> with torch.inference_mode():
    ...     module.encode(torch.tensor(X)).shape
    torch.Size([150, 2])
    """

    mean: Tensor | None
    scale: Tensor | None
    ends: Tensor | None

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        mean: Tensor | None = None,
        scale: Tensor | None = None,
    ):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("ends", None)

    @property
    def dtype(self) -> torch.dtype:
        """The floating type it computes in."""
        return next(_parameters(self)).dtype

    def to_scaled(self, x: Tensor) -> Tensor:
        """From the user's units to the network's, in the wider of the two types until last."""
        if self.mean is not None:
            x = (x - self.mean) / self.scale
        return x.to(self.dtype)

    def to_units(self, x: Tensor) -> Tensor:
        """From the network's units to the user's."""
        if self.mean is not None:
            x = x * self.scale + self.mean
        return x if self.ends is None else x.clamp(*self.ends.to(x.dtype))

    def within(self, scaled: Tensor) -> Tensor:
        """Scaled vectors (n, F), cut off where decoded ones are."""
        if self.ends is None:
            return scaled
        # what lies between the ends does so when it is scaled, to the bit
        return scaled.clamp(*self.to_scaled(self.ends))

    def code(self, scaled: Tensor) -> Tensor:
        """Codes (n, C) of scaled vectors (n, F)."""
        return self.encoder(scaled)

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, C) of vectors (n, F)."""
        return self.code(self.to_scaled(x))

    def decode(self, code: Tensor) -> Tensor:
        """Vectors (n, F) of codes (n, C)."""
        return self.to_units(self.decoder(code.to(self.dtype)))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstructions (n, F) of vectors (n, F)."""
        return self.decode(self.encode(x))


class VariationalModule(AutoencoderModule):
    """An autoencoder whose encoder gives a Gaussian over codes, not a point.

    The encoder's output (n, 2 C) is the mean of each component, then the logarithm of its
    variance. `encode` gives the mean.
    """

    def posterior(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances (n, C) of the codes of scaled vectors (n, F)."""
        mean, log_variance = self.encoder(scaled).chunk(2, dim=-1)
        return mean, log_variance.clamp(*LOG_VARIANCES)

    def code(self, scaled: Tensor) -> Tensor:
        """Mean codes (n, C) of scaled vectors (n, F)."""
        return self.posterior(scaled)[0]


def _parameters(module: nn.Module) -> Iterator[nn.Parameter]:
    """What `module.parameters` yields, which first makes ready to tell one from the other."""
    for parameter in module._parameters.values():
        if parameter is not None:
            yield parameter
    for child in module._modules.values():
        if child is not None:
            yield from _parameters(child)
