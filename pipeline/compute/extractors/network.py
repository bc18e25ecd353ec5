"""Torch modules around a network's body: pixels in, one vector an image out.  Imports torch: workers only."""

import torch

from pipeline.compute.extractors.base import Precision
from pipeline.compute.extractors.preprocessing import Preprocessing


class _PixelsToVectors(torch.nn.Module):
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, body: torch.nn.Module, how: Preprocessing, dtype: torch.dtype) -> None:
        super().__init__()
        # Only the body is reduced: 123.675 in bfloat16 would be 123.5.
        self.body = body.to(dtype)
        self.dtype = dtype
        self.register_buffer("mean", torch.tensor(how.mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(how.std, dtype=torch.float32).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        scaled = (pixels.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.std
        output = self.body(scaled.to(self.dtype))
        return pool(output.to(torch.float32))


def with_pixels_in(body: torch.nn.Module, how: Preprocessing, precision: Precision) -> torch.nn.Module:
    """``body`` with normalisation before and pooling after: (n, h, w, 3) uint8 -> (n, d) float32."""
    return _PixelsToVectors(body.eval(), how, getattr(torch, precision)).eval().requires_grad_(False)


def pool(output: torch.Tensor) -> torch.Tensor:
    """One vector an image from a node's output.

    (n, d) stays as it is, so a network's own ``flatten`` node gives the flattened map.  A map is averaged over its
    places: (n, c, h, w), or (n, h, w, c) where the middle sides are equal and the last is not (Swin).  Tokens (n, t, c)
    are averaged over t.
    """
    if output.dim() == 4:
        rows, columns, last = output.shape[1:]
        places = (1, 2) if rows == columns != last else (2, 3)
        return output.mean(places)
    if output.dim() == 3:
        return output.mean(1)
    return output
