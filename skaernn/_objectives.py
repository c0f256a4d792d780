"""Objectives: a network, a loss and a penalty on one source of rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ._losses import Loss
from ._principal import PrincipalComponents
from ._rows import Rows
from .networks import AutoencoderModule, DenseAutoencoder, DensePasses
from .networks._noise import mix

_CHUNK = 8192  # rows that go through the network at once


class Batch(NamedTuple):
    """Rows of one step."""

    index: Tensor
    weight: Tensor | None
    keys: Tensor | None
    epoch: int

    def split(self, size: int) -> list[Batch]:
        """The same rows in parts of at most `size`."""
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
        # the penalty is compared with weights of mean 1
        self.alpha = alpha / rows.mean_weight
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
                draw = torch.rand(
                    network.n_features, n_extra, generator=generator, dtype=torch.float64
                )
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
        generator = torch.Generator().manual_seed(mix(self.seed, epoch))
        order = torch.randperm(len(rows), generator=generator).to(rows.index.device)
        return Batch(
            rows.index[order],
            None if rows.weight is None else rows.weight[order],
            None if rows.keys is None else rows.keys[order],
            epoch,
        ).split(self.batch_size)

    def sums(self, theta: Tensor, batch: Batch, grad: Tensor) -> Tensor:
        """Loss of a batch, its number of rows (weights have mean 1), and 0; see `Objective`."""
        if len(batch.index) <= _CHUNK:
            return self._bind(theta, grad, len(batch.index)).sums(batch)
        scratch = self._zeros()
        grad.zero_()
        total = theta.new_zeros(len(theta), 3)
        for part in batch.split(_CHUNK):
            total += self._bind(theta, scratch, len(part.index)).sums(part)
            grad += scratch
        return total

    def penalty(self, theta: Tensor, grad: Tensor, sums: Tensor) -> None:
        """L2 penalty on the weights of the network; biases and linear path are spared."""
        if not self.alpha:
            return
        part = self.network.penalised
        weights = theta[:, part]
        pull = weights * self.alpha
        grad[:, part] += pull
        sums[:, 2] = 0.5 * (pull * weights).sum(1)

    def evaluate(self, theta: Tensor, n_rows: int | None = None) -> float:
        """Mean loss without noise and penalty; see `Objective`."""
        rows = self.rows if n_rows is None else self.rows.some(n_rows)
        everything = Batch(rows.index, rows.weight, None, 0)
        total, count = 0.0, 0.0
        bound: dict[int, _Bound] = {}
        for part in everything.split(1024):
            n = len(part.index)
            if n not in bound:
                bound[n] = _Bound(self, theta, None, n)
            total += float(bound[n].value(part)[0])
            count += n if part.weight is None else float(part.weight.sum())
        return total / count

    def _bind(self, theta: Tensor, grad: Tensor, n_rows: int) -> _Bound:
        key = (id(theta), id(grad), n_rows)  # the passes keep both alive
        if key not in self._bound:
            self._bound[key] = _Bound(self, theta, grad, n_rows)
        return self._bound[key]

    def _zeros(self) -> Tensor:
        rows = self.rows
        size = self.network.layout.size
        return torch.zeros(1, size, dtype=rows.dtype, device=rows.X.device)


class _Bound:
    """An objective's work on batches of one size, in buffers of its own."""

    def __init__(self, objective: DenseObjective, theta: Tensor, grad: Tensor | None, n_rows: int):
        self.objective = objective
        self.passes = DensePasses(
            objective.network, theta, grad, n_rows, linear_output=objective._linear_output
        )
        self._sums = theta.new_zeros(len(theta), 3)
        self._sums[:, 1] = n_rows
        self._value = self._sums[:, 0]
        self._shared_x = self.passes.x[0]
        self._loaded: Batch | None = None

    def _load(self, batch: Batch) -> None:
        if batch is not self._loaded:  # the one batch of a fit is gathered once
            self.objective.rows.take(batch.index, self._shared_x)
            if len(self.passes.x) > 1:
                self.passes.x[1:] = self._shared_x
            self._loaded = batch

    def value(self, batch: Batch) -> Tensor:
        """Loss (K,) of a batch; the gradient goes to ``passes.delta``."""
        passes = self.passes
        self._load(batch)
        passes.forward()
        return self.objective.loss.value_and_gradient(
            passes.output, passes.x, batch.weight, passes.delta
        )

    def sums(self, batch: Batch) -> Tensor:
        """Loss, count and 0, (K, 3); the gradient goes where `grad` is."""
        if batch.keys is not None:
            self.passes.draw_masks(batch.keys, self.objective.seed, batch.epoch)
        self._value.copy_(self.value(batch))
        self.passes.backward()
        return self._sums
