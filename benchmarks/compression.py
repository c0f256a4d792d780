"""Pictures at equal bytes: an autoencoder, PCA and JPEG.

    python benchmarks/compression.py           # two minutes on one core
    python benchmarks/compression.py --write   # and benchmarks/results/compression.{png,md}

Wants Pillow and matplotlib.
"""

import argparse
import io
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skaernn import AutoencoderTransformer

RESULTS = Path(__file__).parent / "results"
SIDE = 8  # of a patch, as JPEG has it
SIZES = (2, 4, 8, 16)  # numbers a patch, of one byte each
LEVELS = 256
IMAGES = {"architecture": "convolutional", "image_shape": (SIDE, SIDE), "linear_path": True}
NETWORKS = {  # from which a validation chooses
    "dense (128,)": {"hidden_layer_sizes": (128,)},
    "dense (256, 128)": {"hidden_layer_sizes": (256, 128)},
    "convolutional (64,)": {"hidden_layer_sizes": (64,), **IMAGES},
}
NAMES = ("autoencoder", "PCA", "JPEG")
HEAD = """Peak signal-to-noise ratio in dB (higher is better) of pictures at equal bytes.

- Patches are 8 x 8 grey pixels, as JPEG has them. Autoencoder and PCA learn from the same patches,
  none of them of the picture that is compressed, and write a code of so many numbers for each
  patch, a byte a number: 256 steps between the smallest and the largest of the training codes.
- Counted are the bytes of the codes, and of JPEG those of the coefficients: neither weights and
  components nor JPEG's header and tables (which are made for the picture, `optimize=True`).
- Codes are as they are: nothing packs them, and every patch has as many. JPEG packs its
  coefficients by a Huffman code and spends no bytes where nothing is to be seen.
- JPEG is at the quality, of 1 to 95, whose bytes are nearest; it has nothing smaller than quality
  1, nothing larger was asked for than 95.
- The autoencoder's network is the best of three, two dense and one convolutional, by validation on
  patches to learn from.
"""


@dataclass
class Problem:
    """Patches to learn from, others to choose by, and a picture to compress.

    Attributes
    ----------
    train, validation : ndarray of shape (n, 64)
        Grey levels 0 to 255.
    picture : ndarray of shape (height, width)
        Its sides are multiples of 8. Nothing of it is in the others.
    epochs, drawn_size : int
    drawn : tuple of slice
        What the drawing shows of the picture.
    """

    title: str
    train: np.ndarray
    validation: np.ndarray
    picture: np.ndarray
    epochs: int
    drawn_size: int
    drawn: tuple


@dataclass
class Answer:
    """Bytes, peak signal-to-noise ratio in dB and the picture as it came back."""

    n_bytes: int
    picture: np.ndarray = field(repr=False)
    psnr: float
    setting: str


# What is compressed


def digits():
    """Learn from 1347 digits, compress the other 450, side by side."""
    X, y = load_digits(return_X_y=True)
    X = np.round(X * 255 / 16)
    train, test, y_train, _ = train_test_split(X, y, test_size=450, stratify=y, random_state=0)
    train, validation = train_test_split(train, test_size=0.25, stratify=y_train, random_state=0)
    picture = join(test, (18 * SIDE, 25 * SIDE))
    drawn = slice(0, 5 * SIDE), slice(0, 7 * SIDE)
    return Problem("450 held-out digits", train, validation, picture, 200, 8, drawn)


def photograph():
    """Learn from patches of one photograph, compress the other."""
    china, flower = (grey(load_sample_image(f"{name}.jpg")) for name in ("china", "flower"))
    rng = np.random.default_rng(0)
    train = varied(cut(china[:, :480], SIDE // 2), rng)
    height, width = (side // SIDE * SIDE for side in flower.shape)
    title = "one photograph, from another"
    drawn = slice(56, 256), slice(170, 450)
    picture = flower[:height, :width]
    return Problem(title, train, cut(china[:, 480:]), picture, 15, 4, drawn)


def grey(image):
    return np.asarray(Image.fromarray(image).convert("L"), dtype=float)


def cut(picture, stride=SIDE):
    """Patches (n, 64) of a picture, one every `stride` pixels."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (SIDE, SIDE))
    return windows[::stride, ::stride].reshape(-1, SIDE * SIDE)


def join(patches, shape):
    """Picture of patches that were cut side by side."""
    rows, columns = (side // SIDE for side in shape)
    return patches.reshape(rows, columns, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(shape)


def varied(patches, rng):
    """The patches and as many mirrored or turned, all at other contrasts and levels."""
    images = patches.reshape(-1, SIDE, SIDE)
    ways = np.stack([images[:, ::-1], images[:, :, ::-1], images.transpose(0, 2, 1)])
    turned = ways[rng.integers(len(ways), size=len(images)), np.arange(len(images))]
    images = np.concatenate([images, turned])
    mean = images.mean((1, 2), keepdims=True)
    contrast = rng.uniform(0.2, 1.2, mean.shape)
    level = rng.uniform(0, 255, mean.shape)
    return np.clip((images - mean) * contrast + level, 0, 255).reshape(len(images), -1)


# How it is compressed


class Codec:
    """Codes of one byte a number, of any fitted transformer that goes there and back.

    A number counts the 256 steps between the smallest and the largest of the training codes.
    """

    def __init__(self, transformer, train):
        codes = transformer.fit(train).transform(train)
        self.transformer, self.low, self.high = transformer, codes.min(0), codes.max(0)

    def encode(self, patches):
        codes = self.transformer.transform(patches)
        share = (codes - self.low) / (self.high - self.low)
        return np.round(np.clip(share, 0, 1) * (LEVELS - 1)).astype(np.uint8)

    def decode(self, code):
        codes = self.low + code / (LEVELS - 1.0) * (self.high - self.low)
        return restored(self.transformer.inverse_transform(codes))

    def __call__(self, picture, setting):
        code = self.encode(cut(picture))
        back = join(self.decode(code), picture.shape)
        return Answer(code.nbytes, back, psnr(picture, back), setting)


def autoencoder(problem, size):
    """The best of `NETWORKS` on the validation patches, fitted to both kinds of patches."""
    errors = {}
    for name in NETWORKS:
        codec = Codec(candidate(size, name, problem.epochs), problem.train)
        back = codec.decode(codec.encode(problem.validation))
        errors[name] = np.mean((back - problem.validation) ** 2)
    best = min(errors, key=errors.get)
    codec = Codec(candidate(size, best, problem.epochs), both(problem))
    return codec(problem.picture, best)


def candidate(size, name, epochs):
    how = {"max_iter": epochs, "random_state": 0, "dtype": "float32", **NETWORKS[name]}
    return AutoencoderTransformer(size, **how)


def principal(problem, size):
    """As many numbers by PCA, of the same patches."""
    return Codec(PCA(size, random_state=0), both(problem))(problem.picture, "")


def both(problem):
    return np.concatenate([problem.train, problem.validation])


def jpeg(problem, n_bytes):
    """JPEG at the quality whose bytes are nearest."""
    qualities = [of_quality(problem.picture, quality) for quality in range(1, 96)]
    return min(qualities, key=lambda answer: abs(answer.n_bytes - n_bytes))


def of_quality(picture, quality):
    file = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(file, "JPEG", quality=quality, optimize=True)
    back = np.asarray(Image.open(file), dtype=float)
    n_bytes = scan_bytes(file.getvalue())
    return Answer(n_bytes, back, psnr(picture, back), f"quality {quality}")


def scan_bytes(file):
    """Bytes of the coefficients alone, without header and tables: the last segment's data."""
    scan = file.index(b"\xff\xda")  # start of scan; its length, then data, then two for the end
    return len(file) - 2 - (scan + 2 + int.from_bytes(file[scan + 2 : scan + 4], "big"))


def restored(picture):
    return np.clip(np.round(picture), 0, 255)


def psnr(picture, back):
    """Peak signal-to-noise ratio in dB; higher is better."""
    return float(10 * np.log10(255**2 / np.mean((picture - back) ** 2)))


# What is reported


def measure(problem):
    """{size: answers in the order of NAMES}."""
    results = {}
    for size in SIZES:
        own = autoencoder(problem, size)
        results[size] = own, principal(problem, size), jpeg(problem, own.n_bytes)
    return results


def table(problem, results):
    """Markdown, a line for each size."""
    lines = [
        f"### {problem.title[0].upper()}{problem.title[1:]}\n",
        "| bytes a patch | autoencoder | PCA | JPEG | JPEG's bytes a patch | network |",
        "| --: | --: | --: | --: | --: | --- |",
    ]
    n_patches = problem.picture.size // SIDE**2
    for size, answers in results.items():
        decibels = " | ".join(f"{answer.psnr:.1f}" for answer in answers)
        actual = f"{answers[-1].n_bytes / n_patches:.2f} ({answers[-1].setting})"
        lines.append(f"| {size} | {decibels} | {actual} | {answers[0].setting} |")
    return "\n".join(lines)


def draw(path, rooms):
    """Pictures at equal bytes, and what more bytes bring."""
    from matplotlib.figure import Figure  # no pyplot: no window

    figure = Figure(figsize=(13, 5), layout="constrained")
    grid = figure.subplots(len(rooms), 5, width_ratios=(4, 4, 4, 4, 4))
    for axes, (problem, results) in zip(grid, rooms, strict=True):
        pictures = [("original", problem.picture, problem.picture.size)]
        for name, answer in zip(NAMES, results[problem.drawn_size], strict=True):
            pictures.append((f"{name}: {answer.psnr:.1f} dB", answer.picture, answer.n_bytes))
        for ax, (name, picture, n_bytes) in zip(axes, pictures, strict=False):
            ax.imshow(picture[problem.drawn], cmap="gray", vmin=0, vmax=255)
            if problem.picture.shape[0] < 200:  # small enough to see which pixels belong together
                draw_borders(ax, problem.drawn)
            ax.set(xticks=[], yticks=[], xlabel=f"{n_bytes:,} bytes in all".replace(",", " "))
            ax.set_title(name, weight="bold" if name == "original" else None)
        draw_curves(axes[-1], problem, results)
    figure.savefig(path, dpi=90)


def draw_borders(ax, drawn):
    for line, part in ((ax.axhline, drawn[0]), (ax.axvline, drawn[1])):
        for position in range(SIDE, part.stop - part.start, SIDE):
            line(position - 0.5, color="C7", lw=0.8)


def draw_curves(ax, problem, results):
    n_patches = problem.picture.size // SIDE**2
    for i, name in enumerate(NAMES):
        answers = [found[i] for found in results.values()]
        spent = [answer.n_bytes / n_patches for answer in answers]
        ax.plot(spent, [answer.psnr for answer in answers], "o-", color=f"C{i}", label=name)
    ax.set_xscale("log", base=2)
    ax.set(xticks=SIZES, xticklabels=SIZES, ylabel="PSNR, dB")
    ax.set_xlabel("bytes a patch of 64 pixels")
    ax.set_title(problem.title, fontsize="medium")
    ax.legend()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write picture and table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start, rooms = time.perf_counter(), []
    for problem in (digits(), photograph()):
        rooms.append((problem, measure(problem)))
        print(table(*rooms[-1]), end="\n\n", flush=True)
    print(f"{time.perf_counter() - start:.0f} s")
    if options.write:
        draw(RESULTS / "compression.png", rooms)
        tables = "\n\n".join(table(*room) for room in rooms)
        (RESULTS / "compression.md").write_text(f"{HEAD}\n{tables}\n")


if __name__ == "__main__":
    main()
