"""What a fitted autoencoder makes of rows: how well it explains them, how their codes lie."""

from __future__ import annotations

import numpy as np
import torch

from ._principal import global_scale, moments
from ._rows import Rows
from .networks._modules import AutoencoderModule

_CODE_SAMPLE = 2048  # rows from which the moments of the codes are estimated


def explained_variance(module: AutoencoderModule, rows: Rows) -> float:
    """Share of the variance of `rows` (unscaled) that their reconstruction explains.

    Both sums are taken in units of the root mean variance, so that nothing overflows.
    """
    mean, deviation = moments(rows)
    unit = global_scale(deviation)
    total = float((deviation / unit).square().sum())
    residual = 0.0
    with torch.inference_mode():
        for block, weight in rows.blocks(rows.dtype, 1024):
            scaled = module.to_scaled(block)
            difference = (module.decoder(module.encoder(scaled)) - scaled).to(rows.dtype)
            if module.scale is not None:
                difference = difference * (module.scale / unit)
            else:
                difference = difference / unit
            residual += float((weight * difference.square()).sum()) / len(rows)
    if total > 0:
        return 1.0 - residual / total
    rounding = float((4 * torch.finfo(rows.X.dtype).eps * mean / unit).square().sum())
    return 1.0 if residual <= rounding else 0.0


def code_moments(module: AutoencoderModule, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean (C,) and covariance (C, C) of the codes of `rows`, or of 2048 of them."""
    codes, weights = [], []
    with torch.inference_mode():
        for block, weight in rows.some(_CODE_SAMPLE).blocks(rows.dtype):
            codes.append(module.encoder(block))
            weights.append(weight * torch.ones_like(block[:, :1]))
    code, weight = torch.cat(codes), torch.cat(weights)
    weight /= weight.sum()
    mean = (weight * code).sum(0)
    code -= mean
    covariance = (weight * code).T @ code
    dtype = rows.X.dtype
    return mean.to(dtype).cpu().numpy(), covariance.to(dtype).cpu().numpy()
