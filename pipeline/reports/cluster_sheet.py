"""The contact sheet of a date's clusters: of each the images nearest to its center, the farthest, and some others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.errors import UserError
from pipeline.reports.picture_ink import FAINT, INK, QUIET, Canvas, track_colour

FEW = 40
"""Clusters up to which each has a row of its own; more are drawn smaller, several side by side."""

TITLE = "Clusters of {date}"
CAPTION = "Left the images nearest to the center, then some at random, right the farthest; the largest clusters first"

EDGE, HEAD, FOOT = 28, 104, 40


@dataclass(frozen=True)
class Layout:
    """How clusters are drawn: images of each kind, their side, clusters side by side, and rows of a page."""

    each: tuple[int, int, int]
    side: int
    columns: int
    rows: int

    @property
    def page(self) -> int:
        """Clusters on a page."""
        return self.columns * self.rows


WIDE = Layout((2, 1, 2), 84, 2, 20)
LARGE = Layout((4, 4, 4), 76, 1, 20)
SMALL = Layout((2, 1, 1), 56, 5, 16)


@dataclass(frozen=True)
class Sheet:
    """One page: for each cluster its label and the image_ids nearest, in between and farthest, in that order."""

    layout: Layout
    labels: Sequence[str]
    images: Sequence[tuple[Sequence[str], Sequence[str], Sequence[str]]]
    page: int
    num_pages: int
    num_clusters: int

    @property
    def image_ids(self) -> set[str]:
        """Every image on the page."""
        return {one for groups in self.images for group in groups for one in group}


def plan_sheet(members: Sequence[tuple[str, Sequence[str]]], page: int) -> Sheet:
    """Choose what to show.

    Args:
        members: For each cluster its id and its images, the nearest to the center first.
        page: From 1.

    Raises:
        UserError: there is no such page.
    """
    layout = SMALL
    if len(members) <= FEW:
        layout = WIDE if max(len(ids) for _, ids in members) <= sum(WIDE.each) else LARGE
    order = sorted(members, key=lambda one: (-len(one[1]), one[0]))
    num_pages = max(1, -(-len(order) // layout.page))
    if not 1 <= page <= num_pages:
        raise UserError(f"--page {page}: expected 1 to {num_pages}")
    shown = order[(page - 1) * layout.page : page * layout.page]
    labels = [f"{name[:8]}  {len(ids)} image{'s' * (len(ids) != 1)}" for name, ids in shown]
    return Sheet(layout, labels, [_chosen(ids, layout.each) for _, ids in shown], page, num_pages, len(order))


def draw_sheet(sheet: Sheet, pixels: dict[str, bytes | None], date: str) -> Image.Image:
    """Draw a page; an image without pixels is an empty tile."""
    layout = sheet.layout
    gap, between, line = 6, 22, 20
    across = sum(layout.each) * (layout.side + gap) + 2 * between
    step_x, step_y = across + 2 * between, layout.side + line + 16
    rows = -(-len(sheet.labels) // layout.columns)
    width = max(2 * EDGE + step_x * min(layout.columns, len(sheet.labels)) - 2 * between, 900)
    canvas = Canvas(width, HEAD + rows * step_y + FOOT)
    canvas.text((EDGE, 36), TITLE.format(date=date), 24, INK, bold=0.35)
    canvas.text((EDGE, 68), CAPTION, 14, QUIET)
    for place, (label, groups) in enumerate(zip(sheet.labels, sheet.images, strict=True)):
        row, column = place % rows, place // rows
        left, top = EDGE + column * step_x, HEAD + row * step_y
        colour = track_colour(place)
        canvas.text((left, top + 8), label, 13, INK)
        x, whole = float(left), sum(map(len, groups)) < sum(layout.each)
        for group in groups:
            for image_id in group:
                canvas.picture((x, top + line), layout.side, pixels.get(image_id), colour)
                x += layout.side + gap
            x += 0 if whole else between
        canvas.line([(left, top + step_y - 9), (left + across, top + step_y - 9)], FAINT, 1)
    first = (sheet.page - 1) * layout.page + 1
    foot = f"Clusters {first} to {first + len(sheet.labels) - 1} of {sheet.num_clusters}"
    if sheet.num_pages > 1:
        foot += f"; page {sheet.page} of {sheet.num_pages} (--page)"
    canvas.text((EDGE, HEAD + rows * step_y + FOOT / 2), foot, 13, QUIET)
    return canvas.finished()


def _chosen(ids: Sequence[str], each: tuple[int, int, int]) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """The first, some of the middle (the same at every call), the last; no image twice."""
    near, middle, far = each
    first = ids[:near]
    last = ids[max(len(ids) - far, len(first)) :]
    rest = ids[len(first) : len(ids) - len(last)]
    picked = np.sort(np.random.default_rng(0).choice(len(rest), min(middle, len(rest)), replace=False))
    return first, [rest[place] for place in picked.tolist()], last
