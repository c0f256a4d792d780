"""Real signals at line events of the package: where a user's Ctrl-C may fall."""

import signal
import sys
from pathlib import Path

import numpy as np
import torch

import skaernn
from skaernn._core import device, interrupts

ROOT = str(Path(skaernn.__file__).parent)


class Interrupted:
    """Runs a function with Ctrl-C at some of the line events of the package, counted from 1."""

    def __init__(self, function, *at):
        self.events, self.raised = 0, False
        self._at = set(at)
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            function()
        except KeyboardInterrupt:
            self.raised = True
        finally:
            sys.settrace(before)

    def _enter(self, frame, event, arg):
        return self._line if frame.f_code.co_filename.startswith(ROOT) else None

    def _line(self, frame, event, arg):
        if event == "line":
            self.events += 1
            if self.events in self._at:
                signal.raise_signal(signal.SIGINT)
        return self._line


def of_process():
    """What an interrupt must leave as it was."""
    return {
        "threads": torch.get_num_threads(),
        "limiter": device._limit._depth,
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "dtype": torch.get_default_dtype(),
        "generator": hash(bytes(torch.get_rng_state().numpy())),
        "numpy": np.geterr(),
        "handler": signal.getsignal(signal.SIGINT),
        "deferral": (interrupts._deferral.depth, interrupts._deferral.noted),
    }
