"""Objectives: a network, a loss and a penalty on one source of rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ._losses import Loss
from ._principal import PrincipalComponents
from ._rows import Rows
from .networks import AutoencoderModule, DenseAutoencoder, DensePasses, mix

_CHUNK = 8192  # rows that go through the network at once


class Batch(NamedTuple):
    """Rows of one step."""

    index: Tensor
    weight: Tensor | None
    keys: Tensor | None
    epoch: int

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


class DenseObjective:
    """Reconstruction by a dense autoencoder through hand-written passes.

    See `skaernn._training.Objective` for the methods.

    Parameters
    ----------
    network : DenseAutoencoder
    loss : Loss
    rows : Rows
    alpha : float
        Strength of the L2 penalty 0.5 alpha |W|^2, which is divided by the sum of the weights of
        a batch's rows, as in scikit-learn's MLPRegressor.
    batch_size : int
    shuffle : bool
        New batches every epoch.
    seed : int
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
        self.network, self.loss, self.rows = network, loss, rows
        self.batch_size = min(batch_size, len(rows))
        self.shuffle, self.seed, self.principal = shuffle, seed, principal
        self._pull = None
        if alpha:  # compared with weights of mean 1
            mask = network.penalised.to(device=rows.X.device, dtype=rows.dtype)
            self._pull = mask * (alpha / rows.mean_weight)
        self._generator = torch.Generator(device="cpu")
        self._linear_output = network.output_activation == loss.output_activation
        self._everything = Batch(rows.index, rows.weight, rows.keys, 0)
        self._bound: dict[tuple, _Bound] = {}
        self.one_batch = self.batch_size == len(rows)
        self.exact = self.one_batch and network.dropout == 0

    def start(self, generator: torch.Generator) -> Tensor:
        """Random parameters; the linear path, if there is one, at the principal components."""
        network = self.network
        theta = self._zeros()
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

    def pack(self, module: AutoencoderModule) -> Tensor:
        """The parameters of a fitted module."""
        theta = self._zeros()
        self.network.pack(module, theta[0])
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

    def batches(self, epoch: int) -> Iterable[Batch]:
        """All rows in batches of `batch_size`, the last one shorter."""
        if self.one_batch:
            everything = self._everything
            return [everything if everything.keys is None else everything._replace(epoch=epoch)]
        rows = self.rows
        if not self.shuffle:
            return self._everything._replace(epoch=epoch).split(self.batch_size)
        generator = self._generator.manual_seed(mix(self.seed, epoch))
        order = torch.randperm(len(rows), generator=generator, device="cpu")
        order = order.to(rows.index.device)
        return Batch(
            rows.index.index_select(0, order),
            None if rows.weight is None else rows.weight[order],
            None if rows.keys is None else rows.keys[order],
            epoch,
        ).split(self.batch_size)

    def sums(self, theta: Tensor, batch: Batch, grad: Tensor) -> Tensor:
        """Loss of a batch, its number of rows (weights have mean 1), and 0; see `Objective`."""
        n_rows = batch.index.shape[0]
        if n_rows <= _CHUNK:
            return self._bind(theta, grad, n_rows).sums(batch)
        scratch = self._zeros()
        grad.zero_()
        total = theta.new_zeros(len(theta), 3)
        for part in batch.split(_CHUNK):
            total += self._bind(theta, scratch, len(part.index)).sums(part)
            grad += scratch
        return total

    def penalty(self, theta: Tensor, grad: Tensor, sums: Tensor) -> None:
        """L2 penalty on the weights of the network; biases and linear path are spared."""
        if self._pull is None:
            return
        pull = theta * self._pull
        grad += pull
        torch.baddbmm(
            sums[:, 2:, None], pull[:, None], theta[..., None], beta=0, alpha=0.5,
            out=sums[:, 2:, None],
        )  # fmt: skip

    def evaluate(self, theta: Tensor, n_rows: int | None = None) -> float:
        """Mean loss without noise and penalty; see `Objective`."""
        rows = self.rows if n_rows is None else self.rows.some(n_rows)
        everything = Batch(rows.index, rows.weight, None, 0)
        total, count = 0.0, 0.0
        network = replace(self.network, dropout=0.0)
        bound: dict[int, _Bound] = {}
        for part in everything.split(1024):
            n = part.index.shape[0]
            if n not in bound:
                bound[n] = _Bound(self, network, theta, None, n)
            total += float(bound[n].value(part)[0, 0])
            count += n if part.weight is None else float(part.weight.sum())
        return total / count

    def _bind(self, theta: Tensor, grad: Tensor, n_rows: int) -> _Bound:
        key = (id(theta), id(grad), n_rows)  # what is bound keeps both alive
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bound[key] = _Bound(self, self.network, theta, grad, n_rows)
        return bound

    def _zeros(self) -> Tensor:
        rows = self.rows
        size = self.network.layout.size
        return torch.zeros(1, size, dtype=rows.dtype, device=rows.X.device)


class _Bound:
    """An objective's work on batches of one size, in buffers of its own."""

    def __init__(
        self,
        objective: DenseObjective,
        network: DenseAutoencoder,
        theta: Tensor,
        grad: Tensor | None,
        n_rows: int,
    ):
        self._objective, self._kept = objective, (theta, grad)
        self._passes = DensePasses(
            network, theta, grad, n_rows, linear_output=objective._linear_output
        )
        self._sums = theta.new_zeros(len(theta), 3)
        self._sums[:, 1] = n_rows
        self._value = self._sums[:, :1, None]
        self._first_x, self._other_x = self._passes.x[0], self._passes.x[1:]
        self._loaded: Batch | None = None

    def value(self, batch: Batch) -> Tensor:
        """Loss of a batch in the first column (K, 3); its gradient is left to `sums`."""
        passes = self._passes
        if batch is not self._loaded:  # the one batch of a fit is gathered once
            self._objective.rows.take(batch.index, self._first_x)
            if self._other_x.shape[0]:
                self._other_x.copy_(self._first_x)
            self._loaded = batch
        passes.forward()
        self._objective.loss.value_and_gradient(
            passes.output, passes.x, batch.weight, passes.delta, self._value
        )
        return self._sums

    def sums(self, batch: Batch) -> Tensor:
        """Loss, count and 0, (K, 3); the gradient goes where `grad` is."""
        if batch.keys is not None:
            self._passes.draw_masks(batch.keys, self._objective.seed, batch.epoch)
        self.value(batch)
        self._passes.backward()
        return self._sums
