"""The objective of dense autoencoders: reconstruction through hand-written passes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ._losses import Gradient, Loss
from ._objectives import Batch, RowsObjective, Workspace
from ._principal import PrincipalComponents
from ._rows import Rows
from .networks import AutoencoderModule, DenseAutoencoder, DensePasses


class DenseObjective(RowsObjective):
    """Reconstruction by a dense autoencoder through hand-written passes.

    Parameters
    ----------
    network : DenseAutoencoder
    loss : Loss
    rows : Rows
    alpha, batch_size, shuffle, seed
        See `RowsObjective`.
    principal : PrincipalComponents or None
        Where the linear path starts.
    """

    def __init__(
        self,
        network: DenseAutoencoder,
        loss: Loss,
        rows: Rows,
        *,
        alpha: float = 0.0,
        batch_size: int = 200,
        shuffle: bool = True,
        seed: int = 0,
        principal: PrincipalComponents | None = None,
    ):
        super().__init__(
            rows,
            n_parameters=network.layout.size,
            noisy=network.dropout > 0,
            penalised=network.penalised if alpha else None,
            alpha=alpha,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
        )
        self.network, self.loss, self.principal = network, loss, principal
        self.starts_well = network.linear_path

    def on(self, rows: Rows) -> DenseObjective:
        """The same network and loss on other, unscaled rows, to be evaluated."""
        return DenseObjective(
            self.network, self.loss, rows.scaled(self.rows.mean, self.rows.scale)
        )

    def start(self, generator: torch.Generator) -> Tensor:
        """Random parameters; the linear path, if there is one, at the principal components."""
        network = self.network
        theta = self.zeros()
        network.start(theta[0], generator)
        if network.linear_path:
            found = self.principal.components[:, : network.n_components]
            encode = found.new_zeros(network.n_features, network.n_components)
            encode[:, : found.shape[1]] = found
            n_extra = network.n_components - found.shape[1]
            if n_extra:  # more components than there are: random in, nothing out
                shape = network.n_features, n_extra
                draw = torch.rand(shape, generator=generator, dtype=torch.float64, device="cpu")
                encode[:, found.shape[1] :] = (2 * draw - 1) * network.n_features**-0.5
            decode = encode.T.clone()
            decode[found.shape[1] :] = 0
            mean = self.principal.mean
            decode, bias = self.loss.start_decoder(decode, mean)
            network.start_path(theta[0], encode, decode, mean, bias)
        return theta

    @property
    def start_loss(self) -> float | None:
        """The exact loss at `start` where it is PCA's: half the discarded variance."""
        network = self.network
        is_pca = (
            network.linear_path
            and self.loss.is_squared
            and network.code_activation == network.output_activation == "identity"
        )
        return 0.5 * self.principal.discarded(network.n_components) if is_pca else None

    def pack(self, module: AutoencoderModule) -> Tensor:
        """The parameters of a fitted module."""
        theta = self.zeros()
        self.network.pack(module, theta[0])
        return theta

    def module(self, theta: Tensor) -> AutoencoderModule:
        """The module of one model's parameters (P,), between the units of X."""
        return self.network.module(theta, self.rows.mean, self.rows.scale)

    def shape(self, batch):
        """See `RowsObjective`."""
        return len(batch.index)

    def workspace(self, theta, grad, shape, *, noisy):
        """See `RowsObjective`."""
        network = self.network if noisy else replace(self.network, dropout=0.0)
        linear_output = network.output_activation == self.loss.output_activation
        passes = DensePasses(network, theta, grad, shape, linear_output=linear_output)
        return _DenseWorkspace(passes, self.loss, self.rows, self.seed, (theta, grad))


class _DenseWorkspace(Workspace):
    def __init__(self, passes: DensePasses, loss: Loss, rows: Rows, seed: int, kept: tuple):
        self._passes, self._loss, self._rows, self._seed = passes, loss, rows, seed
        self._kept = kept  # theta and grad, whose ids name this workspace
        n_models, n_rows, _ = passes.x.shape
        self._sums = kept[0].new_zeros(n_models, 3)
        self._sums[:, 1] = n_rows
        self._value = self._sums[:, :1, None]
        self._gradient = Gradient.of(passes.delta)
        self._first_x, self._other_x = passes.x[0], passes.x[1:]
        self._loaded: Batch | None = None

    def value(self, batch):
        passes = self._passes
        if batch is not self._loaded:  # the one batch of a fit is gathered once
            self._rows.take(batch.index, self._first_x)
            if self._other_x.shape[0]:
                self._other_x.copy_(self._first_x)
            self._loaded = batch
        passes.forward()
        self._loss.value_and_gradient(
            passes.output, passes.x, batch.weight, self._gradient, self._value
        )
        return self._sums

    def sums(self, batch):
        if batch.keys is not None:
            self._passes.draw_masks(batch.keys, self._seed, batch.epoch)
        self.value(batch)
        self._passes.backward()
        return self._sums
