"""Rows and sequences a second on the devices there are, in fits and in answers.

    python benchmarks/device.py            prints a table
    python benchmarks/device.py --out F    and writes it to a file

Wall seconds, since a device works beside the processor; the best of three, after a first call that
loads what a device needs. On the CPU with all threads.
"""

import argparse
import platform
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skaernn import AutoencoderTransformer, RNNSequenceRegressor
from skaernn._native.library import kernels

ROWS, SEQUENCES, STEPS, CHANNELS = 200_000, 20_000, 50, 8
EPOCHS = 2


def autoencoder(device):
    X = np.random.default_rng(0).normal(size=(ROWS, 64)).astype(np.float32)
    network = {"hidden_layer_sizes": (128,), "linear_path": False, "batch_size": 4096}
    model = AutoencoderTransformer(16, max_iter=EPOCHS, random_state=0, device=device, **network)
    return lambda: model.fit(X), lambda: model.transform(X), ROWS


def recurrent(cell, device):
    X = np.random.default_rng(0).normal(size=(SEQUENCES, STEPS, CHANNELS)).astype(np.float32)
    y = X.sum((1, 2))
    how = {"batch_size": 1024, "max_iter": EPOCHS, "random_state": 0, "device": device}
    model = RNNSequenceRegressor(cell, 64, **how)
    return lambda: model.fit(X, y), lambda: model.predict(X), SEQUENCES


def seconds(function):
    function()
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def table(devices):
    lines = [
        "| network | device | fit, rows/s | answers, rows/s |",
        "| --- | --- | --: | --: |",
    ]
    jobs = {"autoencoder 64-128-16": autoencoder}
    for cell in ("rnn", "lstm", "gru", "mingru"):
        jobs[f"{cell}, 64 units, {STEPS} steps"] = lambda device, cell=cell: recurrent(
            cell, device
        )
    for name, job in jobs.items():
        for device in devices:
            fit, answer, n = job(device)
            fitted, answered = n * EPOCHS / seconds(fit), n / seconds(answer)
            lines.append(f"| {name} | {device} | {fitted:,.0f} | {answered:,.0f} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    warnings.simplefilter("ignore", ConvergenceWarning)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    names = [torch.cuda.get_device_name()] if len(devices) > 1 else []
    about = [platform.machine(), f"{torch.get_num_threads()} threads", *names]
    about += [f"torch {torch.__version__}", f"kernels {kernels()} on the CPU"]
    text = "\n".join(["# Devices", "", ", ".join(about) + ".", "", *table(devices)]) + "\n"
    print(text)
    if out:
        out.write_text(text)


if __name__ == "__main__":
    main()
