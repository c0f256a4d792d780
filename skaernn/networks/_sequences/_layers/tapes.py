"""Hand-written passes of the recurrent cells; `tape` says how they are made."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ..cells import Blocks
from .tape import Steps, TapePass

_aten = torch.ops.aten
# called without Python's wrapper around overloads, which doubles their cost
_sigmoid_backward = _aten.sigmoid_backward.grad_input._op
_tanh_backward = _aten.tanh_backward.grad_input._op
_threshold_backward = _aten.threshold_backward.grad_input._op


class VanillaPass(TapePass):
    """Passes of `Vanilla`."""

    n_deltas = 1, 1
    n_factors = 0

    def _record_forward(self) -> None:
        record, relu = self._forward.append, self._cell.activation == "relu"
        activation = partial(torch.clamp_min, min=0) if relu else torch.tanh
        slots, after = self._slots(self._source).steps, self._packing.steps(self.h)
        # contiguous: faster for the activation, and read again on the way back
        self.h = self._new(self._packing.size, self._n_hidden)
        self._states = self._packing.steps(self.h)
        for source, state, h in zip(slots, after, self._states, strict=True):
            record(partial(torch.mm, source, self._weight, out=h))
            record(partial(activation, h, out=h))
            record(partial(state.copy_, h))

    def _record_factors(self, chunk: range, factors: Steps) -> None:
        pass

    def _record_step(self, t: int, dh: Tensor, by: Tensor, delta: Tensor) -> None:
        if self._cell.activation == "relu":
            kernel = partial(_threshold_backward, dh, self._states[t], 0)
        else:
            kernel = partial(_tanh_backward, dh, self._states[t])
        self._backward.append(partial(kernel, grad_input=delta[0]))


class LSTMPass(TapePass):
    """Passes of `LSTM`.

    A step leaves its sigmoids [o, i, f] and, in the same order, what each is multiplied with:
    [tanh c, g, c before]. So the factors are made by two calls. They lie in the order
    [c, o, i, f, g]: how c receives from h, then the gates, those side by side that c moves.
    """

    n_deltas = 4, 4
    n_factors = 5

    def _record_forward(self) -> None:
        record, n_hidden = self._forward.append, self._n_hidden
        weight = self._record_gate_weights(4)
        self._sigmoids, self._partners = self._gates(3), self._gates(3)
        self.initial = (*self.initial, self._partners.steps[0][2].zero_())
        memory = self._new(5, self._packing.n_rows, n_hidden)
        states, sizes = self._packing.steps(self.h), (*self._packing.batch_sizes, 0)
        for t, source in enumerate(self._slots(self._source).steps):
            o, i, f = self._sigmoids.steps[t].unbind()
            tanh_c, g, c_before = self._partners.steps[t].unbind()
            b, b_next = sizes[t], sizes[t + 1]
            gates = memory[:4].flatten()[: 4 * b * n_hidden].view(4, b, n_hidden)
            c = self._partners.steps[t + 1][2] if b == b_next else memory[4, :b]
            record(partial(torch.bmm, source.expand(4, -1, -1), weight, out=gates))
            record(partial(torch.sigmoid, gates[:3], out=self._sigmoids.steps[t]))
            record(partial(torch.tanh, gates[3], out=g))
            record(partial(torch.mul, f, c_before, out=c))
            record(partial(c.addcmul_, i, g))
            record(partial(torch.tanh, c, out=tanh_c))
            record(partial(torch.mul, o, tanh_c, out=states[t]))
            if 0 < b_next < b:
                record(partial(self._partners.steps[t + 1][2].copy_, c[:b_next]))

    def _record_backward(self, grads: Blocks, delta_x: Tensor | None) -> None:
        self._delta_c = self._new(self._packing.n_rows, self._n_hidden)
        self._backward.append(self._delta_c.zero_)
        super()._record_backward(grads, delta_x)
        if self.delta_initial:
            self.delta_initial += (self._delta_c,)

    def _record_factors(self, chunk: range, factors: Steps) -> None:
        record = self._backward.append
        known = self._sigmoids.spans(chunk), self._partners.spans(chunk)
        for sigmoids, partners, by in zip(*known, factors.spans(range(len(chunk))), strict=True):
            record(partial(_sigmoid_backward, partners, sigmoids, grad_input=by[1:4]))
            record(partial(_tanh_backward, sigmoids[:2], partners[:2], grad_input=by[::4]))

    def _record_step(self, t: int, dh: Tensor, by: Tensor, delta: Tensor) -> None:
        record, dc = self._backward.append, self._delta_c[: len(dh)]
        record(partial(dc.addcmul_, dh, by[0]))
        record(partial(torch.mul, dh, by[1], out=delta[0]))
        record(partial(torch.mul, dc, by[2:], out=delta[1:]))

    def _record_past(self, t: int, dh: Tensor, before: Tensor) -> None:
        forget = self._sigmoids.steps[t][2]
        self._backward.append(partial(self._delta_c[: len(dh)].mul_, forget))

    def _record_cut(self, dh: Tensor) -> None:
        super()._record_cut(dh)
        super()._record_cut(self._delta_c[: len(dh)])


class GRUPass(TapePass):
    """Passes of `GRU`.

    With q = h W_h + b_h of the candidate, products come in the order q, r, z, and gradients in
    the order q, r, z, n: what h receives is side by side, and so is what x receives.
    """

    n_deltas = 3, 4
    n_factors = 4

    def _record_forward(self) -> None:
        record, n_hidden = self._forward.append, self._n_hidden
        weight = self._weight.unflatten(1, (3, n_hidden)).transpose(0, 1)
        gate_weights = self._new(weight.shape)
        gate_weights[0, n_hidden:-1] = 0
        record(partial(gate_weights[1:].copy_, weight[1:]))
        record(partial(gate_weights[0, :n_hidden].copy_, weight[0, :n_hidden]))
        record(partial(gate_weights[0, -1:].copy_, self._blocks["candidate_bias"]))
        candidates = self._new(self._n_slots, n_hidden)
        inputs = self._source[: self._n_slots, n_hidden:]
        record(partial(torch.mm, inputs, weight[0, n_hidden:], out=candidates))
        self._candidates, self._activated = self._slots(candidates), self._gates(3)
        states = self._packing.steps(self.h)
        for t, source in enumerate(self._slots(self._source).steps):
            gates, n = self._activated.steps[t], self._candidates.steps[t]
            q, r, z = gates.unbind()
            record(partial(torch.bmm, source.expand(3, -1, -1), gate_weights, out=gates))
            record(partial(torch.sigmoid, gates[1:], out=gates[1:]))
            record(partial(n.addcmul_, r, q))
            record(partial(torch.tanh, n, out=n))
            record(partial(torch.lerp, n, source[:, :n_hidden], z, out=states[t]))

    def _record_backward(self, grads: Blocks, delta_x: Tensor | None) -> None:
        self._beside = self._new(self._cell.n_inputs + 1, self._n_hidden)
        self._one = self._new(()).fill_(1)
        self._before = self._slots(self._state)
        super()._record_backward(grads, delta_x)

    def _record_factors(self, chunk: range, factors: Steps) -> None:
        record = self._backward.append
        known = [rows.spans(chunk) for rows in (self._activated, self._candidates, self._before)]
        made = factors.spans(range(len(chunk)))
        for (q, r, z), n, h, (by_q, by_r, by_z, by_n) in zip(*known, made, strict=True):
            record(partial(torch.sub, self._one, z, out=by_n))
            record(partial(_tanh_backward, by_n, n, grad_input=by_n))
            record(partial(torch.mul, by_n, r, out=by_q))
            record(partial(torch.mul, by_n, q, out=by_r))
            record(partial(_sigmoid_backward, by_r, r, grad_input=by_r))
            record(partial(torch.sub, h, n, out=by_z))
            record(partial(_sigmoid_backward, by_z, z, grad_input=by_z))

    def _record_step(self, t: int, dh: Tensor, by: Tensor, delta: Tensor) -> None:
        self._backward.append(partial(torch.mul, dh, by, out=delta))

    def _record_past(self, t: int, dh: Tensor, before: Tensor) -> None:
        self._backward.append(partial(before.addcmul_, dh, self._activated.steps[t][2]))

    def _record_gradients(
        self, grads: Blocks, source: Tensor, deltas: Tensor, is_first: bool
    ) -> None:
        super()._record_gradients(grads, source, deltas, is_first)
        n_hidden = self._n_hidden
        self._record_sum(self._beside, source[:, n_hidden:].T, deltas[:, 3 * n_hidden :], is_first)

    def _record_last_gradients(self, grads: Blocks) -> None:
        # under its reset gate, the candidate has read h and 1; it reads x and 1 beside it
        record, candidate = self._backward.append, grads["weight"][:, : self._n_hidden]
        record(partial(grads["candidate_bias"].copy_, candidate[-1:]))
        record(partial(candidate[self._n_hidden :].copy_, self._beside))

    def _record_weight_x(self) -> Tensor:
        n_hidden, weight = self._n_hidden, super()._record_weight_x()
        turned = self._new(weight.shape)
        self._backward.append(partial(turned[: 2 * n_hidden].copy_, weight[n_hidden:]))
        self._backward.append(partial(turned[2 * n_hidden :].copy_, weight[:n_hidden]))
        return turned
