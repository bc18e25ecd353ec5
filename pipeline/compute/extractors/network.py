"""Torch modules around a network's body: pixels in, one vector an image out.  Imports torch: workers only."""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

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


class NoNumbers(TorchFunctionMode):
    """While it holds, layers are made without memory for their weights, so that making a network is free.

    Other than ``torch.device("meta")`` it leaves alone what a network computes while it is made (RegNet's widths).
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """``torch.empty``, by which layers are made, gives a tensor without memory."""
        more = {**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}
        return func(*args, **more)


def dimensions(make_body: Callable[[], torch.nn.Module], how: Preprocessing) -> int:
    """Length of a vector, found from shapes alone: nothing is loaded or computed."""
    with NoNumbers():
        body = make_body()
    network = with_pixels_in(body, how, "float32").to("meta")
    return int(network(torch.empty(1, how.height, how.width, 3, dtype=torch.uint8, device="meta")).shape[1])


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
