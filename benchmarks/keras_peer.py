"""Keras 3 on JAX as a contender, in a process of its own: its environment need not be ours.

`KerasPeer(python)` starts this file with another Python and asks it for answers and times. The
worker reads a JSON request a line and writes a JSON reply a line; arrays go through files. It
keeps to one core, and its clock is the CPU time of its own process, which waits while others run.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",  # without, float64 is float32; layers say which of them they want
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
CALLS = {"Keras, predict_on_batch": "predict_on_batch", "Keras, predict": "predict"}
CELLS = ("rnn", "lstm", "gru")


class KerasPeer:
    """A worker of another environment.

    Parameters
    ----------
    python : str
        The interpreter of an environment with Keras 3 and JAX.

    Raises
    ------
    RuntimeError
        If it has not got them.
    """

    def __init__(self, python):
        self._folder = tempfile.TemporaryDirectory(prefix="keras-peer-")
        self._process = subprocess.Popen(
            [python, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            | ENVIRONMENT,
        )
        self.versions = self.ask(do="versions")

    def ask(self, **request):
        """The worker's reply to a request."""
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError("the worker with Keras ended; what it said stands above")
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(f"the worker with Keras: {reply['error']}")
        return reply

    def build(self, kind, **arrays):
        """Let the worker build a model; the ways to call it, by name.

        Parameters
        ----------
        kind : str
            A cell for sequences; "step-" and a cell, for one step with state; "dense".
        **arrays : ndarray
            Input `x`, states `state_0`, ... and the weights as torch has them.
        """
        path = str(Path(self._folder.name) / "model.npz")
        np.savez(path, **arrays)
        self.ask(do="build", kind=kind, path=path)
        return {name: _Contender(self, call) for name, call in CALLS.items()}

    def array(self, call):
        """What a call of the model answers."""
        path = str(Path(self._folder.name) / "answer.npy")
        self.ask(do="answer", call=call, path=path)
        return np.load(path)

    def close(self):
        """End the worker."""
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._folder.cleanup()


class _Contender:
    """One way to call the model that was built last."""

    def __init__(self, peer, call):
        self._peer, self._call = peer, call

    def answer(self):
        return self._peer.array(self._call)

    def seconds(self, n_calls):
        return self._peer.ask(do="time", call=self._call, n_calls=n_calls)["seconds"]


def _set_recurrent(layer, cell, w):
    kernel, recurrent = w["weight_ih"].T, w["weight_hh"].T
    if cell == "gru":  # torch: r, z, n; Keras: z, r, n, with a bias under the reset gate as well

        def reordered(array):
            r, z, n = np.split(array, 3, axis=-1)
            return np.concatenate([z, r, n], axis=-1)

        bias = np.stack([reordered(w["bias_ih"]), reordered(w["bias_hh"])])
        layer.set_weights([reordered(kernel), reordered(recurrent), bias])
    else:  # the same order of gates; two biases are one
        layer.set_weights([kernel, recurrent, w["bias_ih"] + w["bias_hh"]])


def _activations(cell, dtype):
    """JAX's own where Keras's would not do: on JAX they answer float64 with float32."""
    if dtype == "float32":
        return {}
    import jax

    gates = {} if cell == "rnn" else {"recurrent_activation": jax.nn.sigmoid}
    return {"activation": jax.numpy.tanh} | gates


def _recurrent_model(keras, cell, with_state, w):
    kinds = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    dtype = str(w["x"].dtype)
    n_hidden = w["weight_hh"].shape[1]
    x = keras.Input(w["x"].shape[1:], dtype=dtype)
    layer = kinds[cell](
        n_hidden, return_state=with_state, dtype=dtype, **_activations(cell, dtype)
    )
    output = keras.layers.Dense(w["output_weight"].shape[0], dtype=dtype)
    if with_state:
        n_states = 2 if cell == "lstm" else 1
        states = [keras.Input((n_hidden,), dtype=dtype) for _ in range(n_states)]
        h, *ended = layer(x, initial_state=states if n_states > 1 else states[0])
        model = keras.Model([x, *states], [output(h), *ended])
        inputs = [w["x"], *(w[f"state_{i}"] for i in range(n_states))]
    else:
        model, inputs = keras.Model(x, output(layer(x))), w["x"]
    _set_recurrent(layer, cell, w)
    output.set_weights([w["output_weight"].T, w["output_bias"]])
    return model, inputs


def _dense_model(keras, w):
    dtype = str(w["x"].dtype)
    n_layers = sum(name.startswith("weight_") for name in w)
    model = keras.Sequential([keras.Input(w["x"].shape[1:], dtype=dtype)])
    for i in range(n_layers):
        activation = "relu" if i + 1 < n_layers else None
        model.add(keras.layers.Dense(len(w[f"weight_{i}"]), activation, dtype=dtype))
        model.layers[-1].set_weights([w[f"weight_{i}"].T, w[f"bias_{i}"]])
    return model, w["x"]


class _Worker:
    """The other side: one model at a time."""

    def __init__(self):
        import jax
        import keras

        self.keras, self.versions = keras, {"keras": keras.__version__, "jax": jax.__version__}
        self.calls = {}

    def reply(self, request):
        """What a request is answered with."""
        do = request["do"]
        if do == "versions":
            return self.versions
        if do == "build":
            self._build(request["kind"], dict(np.load(request["path"])))
            return {}
        call = self.calls[request["call"]]
        if do == "answer":
            found = call()
            parts = found if isinstance(found, (list, tuple)) else [found]
            np.save(request["path"], np.concatenate([np.asarray(p) for p in parts], axis=1))
            return {}
        gc.disable()
        start = time.process_time()
        for _ in range(request["n_calls"]):
            call()
        seconds = time.process_time() - start
        gc.enable()
        return {"seconds": seconds}

    def _build(self, kind, w):
        self.keras.backend.clear_session()
        self.keras.config.set_floatx(str(w["x"].dtype))
        if kind == "dense":
            model, inputs = _dense_model(self.keras, w)
        else:
            cell = kind.removeprefix("step-")
            model, inputs = _recurrent_model(self.keras, cell, kind != cell, w)
        size = min(len(w["x"]), 4096)
        self.calls = {
            "predict_on_batch": lambda: model.predict_on_batch(inputs),
            "predict": lambda: model.predict(inputs, batch_size=size, verbose=0),
        }


def _serve():
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print is no reply
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    worker = None
    for line in sys.stdin:
        try:
            worker = worker or _Worker()
            reply = worker.reply(json.loads(line))
        except Exception as error:  # the parent decides what becomes of it
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    _serve()
