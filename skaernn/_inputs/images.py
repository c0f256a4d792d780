"""Images as arrays: rows of pixels for the network, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import to_array_like

Shape = tuple[int, ...]


def refuse_channels_first(shape: Sequence[int], said: str, instead: str) -> None:
    """Refuse (channels, height, width), which reads as a flat image of many channels.

    Parameters
    ----------
    shape : sequence of int
    said, instead : str
        What messages say of it, and what to pass.
    """
    if len(shape) != 3:
        return
    first, second, last = shape
    if first in (1, 3) and second > 1 and last > first and last >= second:
        raise ValueError(
            f"{said} reads as {first} x {second} pixels of {last} channels, and looks like "
            f"(channels, height, width). Channels come last: {instead}."
        )


def as_rows(X, name: str, image_shape: Sequence[int] | None = None):
    """X, of images of two or three dimensions, as rows; and the shape of an image.

    Parameters
    ----------
    X : array-like of shape (n, H, W) or (n, H, W, C)
        Anything else is given back as it is, with None, to be refused elsewhere if need be.
    name : str
        What messages call X.
    image_shape : tuple of int or None
        What the images must agree with, if it is known.
    """
    if hasattr(X, "columns"):
        return X, None
    X = to_array_like(X, name)
    if getattr(X, "ndim", 0) not in (3, 4) or not len(X):
        return X, None
    shape = tuple(X.shape[1:])
    refuse_channels_first(
        shape, f"{name} of shape {tuple(X.shape)}", f"np.moveaxis({name}, 1, -1)"
    )
    if image_shape is not None:
        known = tuple(int(size) for size in image_shape)
        if (*known, 1)[:3] != (*shape, 1)[:3]:
            raise ValueError(
                f"{name} has images of shape {shape}, but images of shape {known} are expected."
            )
    return np.asarray(X).reshape(len(X), -1), shape
