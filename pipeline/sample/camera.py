"""Re-photographing a scene: viewpoint and crop, light, sensor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.sample.fields import Field, fractal, resized, smoothstep

NOISE_SIDE = 640
"""Side of the tile of sensor noise that every shot takes its own window of (fresh noise would double the time)."""


@dataclass(frozen=True)
class Camera:
    """One photographer's camera: EXIF model, standard deviation of its noise (0-255), colour cast, JPEG quality."""

    model: str
    noise: float
    cast: tuple[float, float, float]
    quality: int
    offset: str | None


CAMERAS = (
    Camera("Compact 20", 2.5, (1.0, 1.0, 1.0), 84, "+01:00"),
    Camera("Phone 7", 4.0, (1.03, 1.0, 0.96), 78, None),
    Camera("Reflex 300", 1.5, (0.98, 1.0, 1.03), 86, None),
)


@dataclass(frozen=True)
class Weather:
    """A date's light, the same for every shot of the date: exposure (factor), warmth (-1 to 1), clouds (0 to 1)."""

    exposure: float
    warmth: float
    clouds: float


def noise_tile(rng: np.random.Generator) -> Field:
    """Unit sensor noise (side, side, 3) float32, a bit of it shared by the three channels."""
    own = rng.standard_normal((NOISE_SIDE, NOISE_SIDE, 3), dtype=np.float32)
    return np.asarray(0.8 * own + 0.6 * rng.standard_normal((NOISE_SIDE, NOISE_SIDE, 1), dtype=np.float32))


def photograph(
    scene: Image.Image,
    frame: tuple[int, int],
    camera: Camera,
    weather: Weather,
    rng: np.random.Generator,
    noise: Field,
) -> Image.Image:
    """One shot of ``scene`` (RGB; the subject in its middle) as an RGB image of ``frame`` (width, height) pixels."""
    view = scene.transform(frame, Image.Transform.PERSPECTIVE, _viewpoint(scene, frame, rng), Image.Resampling.BILINEAR)
    width, height = frame
    cast = np.asarray(camera.cast) * (1 + 0.07 * weather.warmth * np.array([1, 0.1, -1])) * rng.normal(1, 0.015, 3)
    gain = cast * weather.exposure * float(np.exp(rng.normal(0, 0.09)))
    pixels = np.array(view, dtype=np.float32)
    pixels *= _light(rng, (height, width), weather)[..., None]
    pixels *= gain.astype(np.float32)
    top, left = (int(rng.integers(0, NOISE_SIDE - side + 1)) for side in (height, width))
    pixels += np.float32(camera.noise * rng.uniform(0.7, 1.3)) * noise[top : top + height, left : left + width]
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))


def _viewpoint(scene: Image.Image, frame: tuple[int, int], rng: np.random.Generator) -> list[float]:
    """Pillow's eight coefficients of a homography from the frame to the scene: turned, nearer, aside, aslant."""
    width, height = frame
    half = np.array([width, height]) / 2 * float(np.exp(rng.normal(0.0, 0.05)))
    middle = np.array(scene.size) / 2 + rng.normal(0, 0.03, 2) * frame
    angle = float(np.clip(rng.normal(0, 0.05), -0.12, 0.12))
    slant = np.clip(rng.normal(0, 0.05, 2), -0.13, 0.13)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64)
    seen = corners * (1 + (corners[:, ::-1] * slant)) * half
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = seen @ turn.T + middle
    return homography((corners + 1) / 2 * [width, height], source)


def homography(before: NDArray[np.float64], after: NDArray[np.float64]) -> list[float]:
    """The coefficients a to h that take four points to four: x' = (ax+by+c)/(gx+hy+1), y' = (dx+ey+f)/(gx+hy+1)."""
    rows = []
    for (x, y), (u, v) in zip(before, after, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solved = np.linalg.solve(np.array(rows), after.reshape(-1))
    return [float(value) for value in solved]


def _light(rng: np.random.Generator, shape: tuple[int, int], weather: Weather) -> Field:
    """What falls on the frame, (h, w) float32 around 1: falling off to one side, vignette, on clear days a shadow."""
    rows, columns = np.mgrid[-1:1:24j, -1:1:32j].astype(np.float32)
    falloff = 1 + float(rng.normal(0, 0.06)) * rows + float(rng.normal(0, 0.06)) * columns
    light = falloff * (1 - float(rng.uniform(0.03, 0.12)) * (rows**2 + columns**2))
    direction = float(rng.uniform(0, 2 * np.pi))
    distance = np.cos(direction) * rows + np.sin(direction) * columns - float(rng.uniform(-0.1, 0.9))
    leaves = 0.25 * fractal(rng, (24, 32), cells=(3, 4), octaves=2)
    depth = (1 - weather.clouds) * float(rng.uniform(0.0, 0.4))
    return resized(light * (1 - depth * smoothstep((distance + leaves) / 0.25 + 0.5)), shape)
