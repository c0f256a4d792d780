"""Objectives: a network, a loss and a penalty on one source of rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ._device import precise
from ._losses import Gradient, Loss
from ._principal import PrincipalComponents
from ._rows import Rows
from .networks import AutoencoderModule, DenseAutoencoder, DensePasses, mix

_CHUNK = 8192  # rows that go through the network at once in training
_EVALUATED = 1024  # and in evaluation


class Batch(NamedTuple):
    """Rows of one step."""

    index: Tensor
    weight: Tensor | None
    keys: Tensor | None
    epoch: int

    def take(self, order: Tensor) -> Batch:
        """The same rows in another order."""
        return Batch(
            self.index.index_select(0, order),
            None if self.weight is None else self.weight[order],
            None if self.keys is None else self.keys[order],
            self.epoch,
        )

    def split(self, size: int) -> list[Batch]:
        """The same rows in parts of at most `size`."""
        if self.weight is None and self.keys is None:
            return [Batch(index, None, None, self.epoch) for index in self.index.split(size)]
        n_parts = -(-len(self.index) // size)
        weights = [None] * n_parts if self.weight is None else self.weight.split(size)
        keys = [None] * n_parts if self.keys is None else self.keys.split(size)
        return [
            Batch(*part, self.epoch)
            for part in zip(self.index.split(size), weights, keys, strict=True)
        ]


class Workspace(ABC):
    """A network's work on batches of one size, in buffers of its own."""

    @abstractmethod
    def value(self, batch: Batch) -> Tensor:
        """Summed loss, number of rows and room for a penalty, (K, 3), without noise."""

    @abstractmethod
    def sums(self, batch: Batch) -> Tensor:
        """The same with the noise of training, and the gradient where `grad` is."""


class RowsObjective(ABC):
    """Batches, L2 penalty and evaluation on rows, for any network with a `Workspace`.

    See `skaernn._training.Objective` for what the methods promise.

    Parameters
    ----------
    rows : Rows
    n_parameters : int
        Length P of theta.
    noisy : bool
        Whether training draws noise.
    penalised : Tensor of shape (P,) or None
        Mask of the parameters that the L2 penalty acts on; None: there is no penalty.
    alpha : float
        Strength of the L2 penalty 0.5 alpha |W|^2, which is divided by the sum of the weights of
        a batch's rows, as in scikit-learn's MLPRegressor.
    batch_size : int
    shuffle : bool
        New batches every epoch.
    seed : int
    """

    def __init__(
        self,
        rows: Rows,
        *,
        n_parameters: int,
        noisy: bool,
        penalised: Tensor | None,
        alpha: float,
        batch_size: int,
        shuffle: bool,
        seed: int,
    ):
        self.rows, self.seed = rows, seed
        self.n_rows = len(rows)
        self._n_parameters, self._shuffle = n_parameters, shuffle
        self._batch_size = min(batch_size, len(rows))
        self._one_batch = self._batch_size == len(rows)
        self.exact = self._one_batch and not noisy
        self._decay = None
        if penalised is not None:  # compared with weights of mean 1
            mask = penalised.to(device=rows.X.device, dtype=rows.dtype)
            self._decay = mask * (alpha / rows.mean_weight)
        self._generator = torch.Generator(device="cpu")
        self._everything = Batch(rows.index, rows.weight, rows.keys, 0)
        self._workspaces: dict[tuple[int, int, int], Workspace] = {}
        self._evaluators: dict[int, Workspace] = {}
        self._evaluated: Tensor | None = None
        self._part_grad: Tensor | None = None

    @abstractmethod
    def workspace(
        self, theta: Tensor, grad: Tensor | None, n_rows: int, *, noisy: bool
    ) -> Workspace:
        """Buffers for batches of `n_rows`, bound to `theta` and `grad` (K, P)."""

    def zeros(self) -> Tensor:
        """Parameters (1, P), all zero."""
        return torch.zeros(1, self._n_parameters, dtype=self.rows.dtype, device=self.rows.X.device)

    def batches(self, epoch: int) -> Iterable[Batch]:
        """All rows in batches of `batch_size`, the last one shorter."""
        everything = self._everything
        if everything.keys is not None or not self._one_batch:
            everything = everything._replace(epoch=epoch)
        if self._one_batch:
            return [everything]
        if not self._shuffle:
            return everything.split(self._batch_size)
        generator = self._generator.manual_seed(mix(self.seed, epoch))
        order = torch.randperm(len(self.rows), generator=generator, device="cpu")
        return everything.take(order.to(everything.index.device)).split(self._batch_size)

    def sums(self, theta: Tensor, batch: Batch, grad: Tensor) -> Tensor:
        """Loss of a batch, its number of rows (weights have mean 1), and room."""
        n_rows = batch.index.shape[0]
        if n_rows <= _CHUNK:
            return self._workspace(theta, grad, n_rows).sums(batch)
        if self._part_grad is None:
            self._part_grad = torch.empty_like(theta)
        grad.zero_()
        total = theta.new_zeros(len(theta), 3)
        for part in batch.split(_CHUNK):
            total += self._workspace(theta, self._part_grad, len(part.index)).sums(part)
            grad += self._part_grad
        return total

    def penalty(self, theta: Tensor, grad: Tensor, sums: Tensor) -> None:
        """L2 penalty on the weights of the network."""
        if self._decay is None:
            return
        pull = theta * self._decay
        grad += pull
        room = sums[:, 2:, None]
        torch.baddbmm(room, pull[:, None], theta[..., None], beta=0, alpha=0.5, out=room)

    def evaluate(self, theta: Tensor, n_rows: int | None = None) -> float:
        """Mean loss of one model without noise and penalty."""
        rows = self.rows if n_rows is None else self.rows.sample(n_rows)
        if self._evaluated is None:
            self._evaluated = torch.empty_like(theta)
        self._evaluated.copy_(theta)
        total = theta.new_zeros(len(theta), dtype=precise(theta.device))
        for part in Batch(rows.index, rows.weight, None, 0).split(_EVALUATED):
            n = part.index.shape[0]
            if n not in self._evaluators:
                self._evaluators[n] = self.workspace(self._evaluated, None, n, noisy=False)
            total += self._evaluators[n].value(part)[:, 0]
        count = len(rows) if rows.weight is None else float(rows.weight.sum())
        return total.item() / count

    def _workspace(self, theta: Tensor, grad: Tensor, n_rows: int) -> Workspace:
        key = (id(theta), id(grad), n_rows)  # a workspace keeps both alive
        found = self._workspaces.get(key)
        if found is None:
            found = self._workspaces[key] = self.workspace(theta, grad, n_rows, noisy=True)
        return found


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

    def workspace(self, theta, grad, n_rows, *, noisy):
        """See `RowsObjective`."""
        network = self.network if noisy else replace(self.network, dropout=0.0)
        linear_output = network.output_activation == self.loss.output_activation
        passes = DensePasses(network, theta, grad, n_rows, linear_output=linear_output)
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
