"""The objective of the autoencoders of vectors: reconstruction, and what is asked of codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._core.device import exact_inference, precise
from .._losses.loss import Gradient, ReconstructionLoss
from .._rows.batch import Batch
from .._rows.ends import ends_of
from .._rows.leave_one_out import ridge_strength
from .._rows.matrix import Picked
from .._rows.moments import CODE_SAMPLE, weighted_moments
from .._rows.principal import PrincipalComponents
from .._rows.vectors import Rows
from ..networks import (
    AutoencoderModule,
    AutoencoderNetwork,
    CompiledPasses,
    Corrupter,
    DenseAutoencoder,
    Passes,
    Penalty,
    Spread,
    mix,
    normal,
    uniform,
)
from .compiled import EVALUATED, Program, knows, pays
from .objective import EVALUATION, RowsObjective, Workspace

ALPHA = 0.01  # strength of the L2 penalty where nothing tells a better one
_JUDGED = 1024  # rows that tell it
_OF_TRAINED = 0.03  # of what hidden units that are drawn need, those that are trained do
_OF_FEW = 10.0  # over the number of rows: the least, where a few of them decide
_ON_NOISE = 100.0  # at most, where the codes tell nothing more; else half the features
_CODE = 0x636F6465  # the noise of codes, apart from all other
_EVERYTHING = 1 << 62


class Affine(NamedTuple):
    """An affine map: x weight + bias."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Goal:
    """What an autoencoder is trained to do.

    Attributes
    ----------
    loss : ReconstructionLoss
        Between reconstruction and clean row.
    penalty : Penalty or None
        On what the encoder gives.
    strength : float
        Of the penalty.
    corrupter : Corrupter or None
        What becomes of a row before the encoder reads it.
    """

    loss: ReconstructionLoss
    penalty: Penalty | None = None
    strength: float = 0.0
    corrupter: Corrupter | None = None

    @property
    def of_batch(self) -> bool:
        """Whether it is a function of whole batches."""
        return self.loss.of_batch or (self.penalty is not None and self.penalty.of_batch)


class ReconstructionObjective(RowsObjective):
    """Reconstruction of rows by an autoencoder.

    Parameters
    ----------
    network : AutoencoderNetwork
    goal : Goal
    rows : Rows
    alpha : float or None
        See `RowsObjective`. None: `ALPHA`, or what `start` finds, if it can.
    batch_size, shuffle, seed
        See `RowsObjective`.
    principal : PrincipalComponents or None
        Where the linear path starts.
    """

    def __init__(
        self,
        network: AutoencoderNetwork,
        goal: Goal,
        rows: Rows,
        *,
        alpha: float | None = 0.0,
        batch_size: int = 200,
        shuffle: bool = True,
        seed: int = 0,
        principal: PrincipalComponents | None = None,
    ):
        self._chooses, self.alpha = alpha is None, ALPHA if alpha is None else alpha
        corrupts = goal.corrupter is not None
        super().__init__(
            rows,
            n_parameters=network.layout.size,
            noisy=network.dropout > 0 or network.draws or network.variational or corrupts,
            penalised=network.penalised if self.alpha else None,
            alpha=self.alpha,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
        )
        self.network, self.goal, self.principal = network, goal, principal
        self._loaded = rows if self._one_batch else rows.loaded()  # that one is gathered once
        self.starts_well = network.linear_path
        if goal.of_batch:  # never in parts, and no batch much smaller than the others
            self.batch_size = -(-len(rows) // -(-len(rows) // self.batch_size))
            self.most_rows, self.most_evaluated = _EVERYTHING, self.batch_size
        self._compiled = (
            rows.device.type == "cpu"
            and self.batch_size <= self.most_rows
            and network.compiles(**self._how)
            and knows(goal.loss, goal.penalty)
            and pays(self.batch_size, network.layout.size)
        )

    def on(self, rows: Rows) -> ReconstructionObjective:
        """The same network and goal on other, unscaled rows, to be evaluated."""
        return ReconstructionObjective(
            self.network,
            self.goal,
            rows.scaled(self.rows.mean, self.rows.scale).loaded(),
            batch_size=self.batch_size,
            seed=self.seed,
        )

    def start(self, generator: torch.Generator) -> Tensor:
        """Random parameters; the linear path, if there is one, at the principal components."""
        network = self.network
        theta = self.zeros()
        network.start(theta[0], generator, self._spread)
        if network.linear_path:
            inward, outward = self._path(generator)
            outward = Affine(*self.goal.loss.start_decoder(*outward))
            network.start_path(theta[0], *inward, *outward)
            if self._chooses and self._regresses:
                self._choose_alpha(theta[0])
        return theta

    @property
    def _regresses(self) -> bool:
        """Whether training begins with a regression of what PCA leaves over."""
        network, linear = self.network, ("identity", "identity")
        return (
            isinstance(network, DenseAutoencoder)
            and network.has_path
            and not network.variational
            and (network.code_activation, network.output_activation) == linear
            and self.goal.loss.output_activation == "identity"
        )

    def _choose_alpha(self, theta: Tensor) -> None:
        """Set alpha to what the last layer of the decoder needs, at a start `theta` (P,).

        Training begins with the regression of what PCA leaves over on what that layer reads; the
        penalty with which it foretells rows that are left out best is known in closed form.
        """
        network, rows = self.network, self.rows.sample(_JUDGED)
        module = network.module(theta).to(precise(rows.device))
        hidden, left, weights = [], [], []
        for block, weight in rows.blocks(module.dtype):
            code = module.code(block)
            hidden.append(module.decoder.network[:-1](code))
            left.append(block - module.decoder(code))
            weights.append(weight * torch.ones_like(block[:, :1]))
        features, targets = torch.cat(hidden), torch.cat(left)
        if not bool(features.isfinite().all() & targets.isfinite().all()):
            return
        strength = ridge_strength(features, targets, torch.cat(weights))
        if strength is None:
            strength = min(_ON_NOISE, self.network.n_features / 2)
        else:
            strength = max(strength * _OF_TRAINED, _OF_FEW / len(self.rows))
        share = self.rows.mean_weight * self.batch_size / len(self.rows)
        alpha = max(ALPHA, strength * share)
        self.decay *= alpha / self.alpha
        self.alpha = alpha

    @property
    def _spread(self) -> Spread | None:
        """How rows and PCA's codes lie, on the CPU; None where nothing starts from there."""
        network, principal = self.network, self.principal
        if not network.linear_path or network.variational:
            return None
        found = principal.variances[: network.n_components]
        codes = found.new_zeros(network.n_components)
        codes[: len(found)] = found.sqrt() * principal.unit
        rows = torch.full_like(principal.mean, principal.total / network.n_features).sqrt_()
        rows *= principal.unit
        if not principal.total > 0:  # of constants: any others do
            rows, codes = torch.ones_like(rows), torch.ones_like(codes)
        return Spread(principal.mean.cpu(), rows.cpu(), codes.cpu())

    def _path(self, generator: torch.Generator) -> tuple[Affine, Affine]:
        """The affine maps to codes and back that are PCA, or probabilistic PCA."""
        network, principal = self.network, self.principal
        n_components = network.n_components
        found = principal.components[:, :n_components]
        encode = found.new_zeros(network.n_features, network.n_encoded)
        decode = found.new_zeros(n_components, network.n_features)
        bias = found.new_zeros(network.n_encoded)
        n_found = found.shape[1]
        n_extra = n_components - n_found
        if network.variational:
            gain, shrinkage, log_variance = principal.probabilistic(n_components)
            encode[:, :n_found] = found * shrinkage
            decode[:n_found] = (found * gain).T
            bias[n_components : n_components + n_found] = log_variance
        else:
            encode[:, :n_found], decode[:n_found] = found, found.T
            if n_extra and not network.tied_weights:  # more than there are: random in, nothing out
                shape = network.n_features, n_extra
                draw = torch.rand(shape, generator=generator, dtype=torch.float64, device="cpu")
                encode[:, n_found:] = (2 * draw - 1) * network.n_features**-0.5
        bias -= principal.mean @ encode
        return Affine(encode, bias), Affine(decode, principal.mean)

    @cached_property
    def ends(self) -> tuple[Tensor, Tensor]:
        """Where values of the rows end; see `ends_of`."""
        return ends_of(self.rows)

    @property
    def start_loss(self) -> float | None:
        """The exact loss at `start` where it is PCA's: half the discarded variance."""
        network, goal = self.network, self.goal
        is_pca = (
            network.linear_path
            and not network.variational
            and goal.loss.is_squared
            and goal.penalty is None
            and goal.corrupter is None
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

    @property
    def n_numbers(self):
        """See `RowsObjective`."""
        per_row = self.network.numbers_per_row
        if self.goal.corrupter is not None:  # the clean row, and what the noise is made of
            per_row += self.network.n_features * (1 + 24 // self.rows.dtype.itemsize)
        return self.at_once * per_row

    def workspace(self, memory, shape, *, noisy):
        """See `RowsObjective`."""
        passes = self._silenced(noisy).passes(*memory, shape, **self._how)
        return _ReconstructionWorkspace(passes, self.goal, self._loaded, self.seed)

    @property
    def _how(self) -> dict[str, Any]:
        """How the network's passes are made."""
        linear = self.network.output_activation == self.goal.loss.output_activation
        return {"linear_output": linear, "penalty": self.goal.penalty}

    def _silenced(self, noisy: bool) -> AutoencoderNetwork:
        """The network, without dropout unless it is to be `noisy`."""
        network = self.network
        return network.with_dropout(0.0) if network.dropout and not noisy else network

    def _recorded(self, theta, grad):
        """Passes over batches, and the goal."""
        goal, noisy = self.goal, grad is not None
        if not self._compiled:
            return None
        whole = noisy or goal.of_batch
        n_rows = self.batch_size if whole else min(EVALUATED, len(self.rows))
        passes = self._silenced(noisy).compiled_passes(theta, grad, n_rows, **self._how)
        inputs = _Inputs(passes, goal, self._loaded, self.seed)
        return Program(passes, theta, inputs, goal.loss, goal.penalty, goal.strength)


class _Inputs:
    """Rows as they are and as the encoder reads them, and what is drawn for them; see `Inputs`."""

    def __init__(self, passes: CompiledPasses, goal: Goal, rows: Rows, seed: int):
        self._passes, self._goal, self._rows, self._seed = passes, goal, rows, seed
        self.n_rows = passes.x.shape[1]
        self.target = passes.x if goal.corrupter is None else torch.empty_like(passes.x)
        self.memory = [self.target]
        if goal.corrupter is not None:
            self.memory.append(passes.x)
        self.memory += passes.masks
        if passes.noise is not None:
            self.memory.append(passes.noise)

    def __call__(self, batch: Batch) -> list[Picked]:
        rows, goal, passes, seed = self._rows, self._goal, self._passes, self._seed
        clean, drawn = rows.picked(batch.index), []
        if goal.corrupter is not None:
            clean = Picked(rows.taken(batch.index))
            drawn.append(goal.corrupter(clean.numbers, batch.keys, seed, batch.epoch))
        if passes.masks:
            drawn += passes.new_masks(batch.keys, seed, batch.epoch)
        if passes.noise is not None:
            drawn.append(_code_noise(batch, seed, passes.noise.shape[-1]))
        return [clean, *(Picked(part.to(rows.dtype).contiguous()) for part in drawn)]

    def other_side(self, batch: Batch, inputs: list[Picked]) -> list[Picked] | None:
        if self._passes.noise is None or batch.epoch != EVALUATION:
            return None
        return [*inputs[:-1], Picked(-inputs[-1].numbers)]


def _code_noise(batch: Batch, seed: int, width: int) -> Tensor:
    """What codes of a batch are drawn with, (B, C).

    In evaluations one deviation to either side of the mean, by the toss of a coin. The other side
    is looked at, too: most of what chance does to the loss cancels, and the luck of a draw does
    not decide what is best.
    """
    salt = mix(seed, batch.epoch, _CODE)
    if batch.epoch != EVALUATION:
        return normal(batch.keys, salt, width)
    return torch.where(uniform(batch.keys, salt, width) < 0.5, -1.0, 1.0)


class _ReconstructionWorkspace(Workspace):
    def __init__(self, passes: Passes, goal: Goal, rows: Rows, seed: int):
        self._passes, self._goal, self._rows, self._seed = passes, goal, rows, seed
        n_models, n_rows, _ = passes.x.shape
        self._sums = passes.x.new_zeros(n_models, 3)
        self._value, self._rest = self._sums[:, :1, None], self._sums[:, 1:]
        self._count = passes.x.new_tensor([n_rows, 0])
        self._gradient = Gradient.of(passes.delta)
        self._target = passes.x  # what is read is what is to come out, if nothing corrupts it
        if goal.corrupter is not None:
            self._target = torch.empty_like(passes.x)
        self._first, self._others = self._target[0], self._target[1:]
        self._loaded: Batch | None = None

    def value(self, batch):
        noise = self._passes.noise
        self._load(batch)
        if noise is None:
            return self._once(batch)
        noise.copy_(_code_noise(batch, self._seed, noise.shape[-1]))
        if batch.epoch != EVALUATION:
            return self._once(batch)
        one_side = self._once(batch).clone()
        noise.neg_()
        self._once(batch)
        self._sums.add_(one_side).mul_(0.5)
        return self._sums

    def _load(self, batch: Batch) -> None:
        """Gather the rows of a batch, and corrupt what the encoder reads."""
        if batch is not self._loaded:  # the one batch of a fit is gathered once
            self._rows.take(batch.index, self._first)
            if self._others.shape[0]:
                self._others.copy_(self._first)
            self._loaded = batch
        corrupter = self._goal.corrupter
        if corrupter is not None:
            self._passes.x.copy_(corrupter(self._first, batch.keys, self._seed, batch.epoch))

    def _once(self, batch: Batch) -> Tensor:
        """Sums over a loaded batch, with the noise there is."""
        passes, goal = self._passes, self._goal
        passes.forward()
        goal.loss.value_and_gradient(
            passes.output, self._target, batch.weight, self._gradient, self._value
        )
        self._rest.copy_(self._count)
        if goal.penalty is not None:
            self._sums[:, 0] += self._penalty(batch.weight)
        return self._sums

    def _penalty(self, weight: Tensor | None) -> Tensor:
        """Value (K,) of the penalty, and its gradient where the passes want it."""
        passes, penalty, strength = self._passes, self._goal.penalty, self._goal.strength
        if penalty.of_jacobian:
            return passes.contract(strength, weight)
        return penalty.value_and_gradient(passes.encoded, weight, strength, passes.d_encoded)

    def sums(self, batch):
        if batch.keys is not None:
            self._passes.draw_masks(batch.keys, self._seed, batch.epoch)
        self.value(batch)
        self._passes.backward()
        return self._sums


def code_moments(module: AutoencoderModule, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean (C,) and covariance (C, C) of the codes of `rows`, or of 1024 of them."""
    codes, weights = [], []
    with exact_inference(rows.X.device):
        for block, weight in rows.sample(CODE_SAMPLE).blocks(rows.dtype):
            codes.append(module.code(block))
            weights.append(weight * torch.ones_like(block[:, :1]))
        return weighted_moments(torch.cat(codes), torch.cat(weights), rows.X.dtype)
