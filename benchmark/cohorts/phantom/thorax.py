"""Chest wall, lungs, mediastinum, spine, liver: everything around the heart."""

from __future__ import annotations

import numpy as np

from benchmark.cohorts.phantom.patient import Patient
from benchmark.cohorts.phantom.shapes import Ellipsoid, Grid, blend, paint, paint_tube, smooth_step
from benchmark.cohorts.phantom.stream import Stream

UPRIGHT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
AIR = -1000.0
MUSCLE = 48.0


class Thorax:
    """Positions in the chest of one patient, mm; HU where said.

    Parameters
    ----------
    patient : Patient
        Shift, size and girth.
    draw : Stream
        The patient's stream ``"lungs"``.
    """

    def __init__(self, patient: Patient, draw: Stream) -> None:
        self.patient = patient
        self.scale = 0.55 + 0.45 * patient.size
        shift = patient.shift
        self.middle = shift[0] - 20.0 * self.scale + draw.uniform(-4.0, 4.0)
        self.depth = (86.0 + draw.uniform(-4.0, 6.0)) * self.scale
        self.width = 124.0 * self.scale
        self.centre_y = shift[1] + 15.0 * self.scale
        self.spine_y = self.centre_y + self.depth - 12.0
        self.wall = 26.0 * patient.girth * patient.girth
        self.aorta = (
            self.middle + draw.uniform(16.0, 24.0),
            self.spine_y - draw.uniform(18.0, 22.0),
        )
        self.aorta_radius = draw.uniform(10.5, 14.0)
        self.rib_phase = draw.uniform(0.0, 24.0)
        self.disc_phase = draw.uniform(0.0, 26.0)
        self.cartilage = draw.uniform(75.0, 125.0)
        self.draw = draw

    def front(self) -> float:
        """Return the y of the inner surface of the sternum."""
        return self.centre_y - self.depth

    def base(self, grid: Grid) -> np.ndarray:
        """Return a new volume (Z, Y, X, HU, float32) of chest wall, lungs and mediastinal fat."""
        patient = self.patient
        x, y = grid.x[0], grid.y[0]
        across = (x - self.middle) / self.width
        deep = (y - self.centre_y) / self.depth
        wall = np.sqrt(across * across + deep * deep)
        wall -= 1.0
        wall *= self.depth  # about the distance to the pleura, negative in the lung
        image = np.full(wall.shape, AIR, np.float32)
        skin = 24.0 + self.wall
        for depth, value in (
            (skin, MUSCLE),
            (skin - 2.0, patient.fat),
            (24.0, MUSCLE),
            (16.0, patient.fat),
            (12.0, MUSCLE),
            (1.5, patient.fat),
            (0.0, patient.lung),
        ):
            blend(image, smooth_step(wall - depth, 1.8), value)
        # Mediastinal fat: a triangle behind the sternum, a column before the spine.
        waist = np.maximum(-60.0 * deep - 44.0, 0.0) + np.maximum(deep * 24.0 + 3.0, 0.0) + 7.0
        inside = np.maximum(np.abs(x - (self.middle + 6.0)) - waist, wall)
        blend(image, smooth_step(inside, 4.0), patient.fat)
        x0, y0 = self.aorta
        round_aorta = np.sqrt((x - x0) * (x - x0) + (y - y0) * (y - y0)) - (self.aorta_radius + 4.0)
        blend(image, smooth_step(round_aorta, 3.0), patient.fat)
        # Oesophagus beside the aorta
        gx, gy = (x - (self.middle + 6.0)) / 1.3, y - (self.spine_y - 27.0)
        blend(image, smooth_step(np.sqrt(gx * gx + gy * gy) - 6.0, 2.0), 36.0)
        volume = np.empty(grid.shape, np.float32)
        volume[:] = image
        self._ribs(volume, grid, wall)
        return volume

    def _ribs(self, volume: np.ndarray, grid: Grid, wall: np.ndarray) -> None:
        """Paint the ribs, rings in the chest wall that descend to the front."""
        rows, columns = np.nonzero((wall > 0.0) & (wall < 14.0))
        if rows.size == 0:
            return
        y = grid.y[0, rows, 0]
        pitch = 26.0
        level = (grid.z[:, :, 0] - y * 0.45 + self.rib_phase) / pitch  # (Z, pixels)
        level -= np.floor(level) + 0.5
        level *= pitch / 6.5
        across = (wall[rows, columns] - 7.0) / 5.0
        radius = np.sqrt(level * level + across * across)
        radius -= 1.0
        radius *= 5.5
        front = np.minimum(np.maximum((y - (self.centre_y - 50.0)) / 12.0, 0.0), 1.0)
        cortex = front * 330.0 + (1.0 - front) * self.cartilage
        marrow = front * 130.0 + (1.0 - front) * self.cartilage
        part = volume[:, rows, columns]
        blend(part, smooth_step(radius.copy(), 2.0), cortex)
        blend(part, smooth_step(radius + 2.4, 2.0), marrow)
        volume[:, rows, columns] = part

    def lung_vessels(self, volume: np.ndarray, grid: Grid) -> None:
        """Paint vessels that spread from both hila into the lungs."""
        draw = self.draw
        for side in (-1.0, 1.0):
            hilum = (self.middle + 8.0 + side * 40.0, self.centre_y + 20.0, 16.0)
            for _ in range(13):
                start = tuple(h + draw.uniform(-7.0, 7.0) for h in hilum)
                heading = (
                    side * draw.uniform(0.0, 1.0),
                    draw.uniform(-1.1, 0.9),
                    draw.uniform(-1.4, 0.8),
                )
                radius = draw.uniform(2.2, 4.8)
                for _ in range(4):
                    step = draw.uniform(9.0, 20.0)
                    end = tuple(
                        s + step * (h + draw.uniform(-0.35, 0.35))
                        for s, h in zip(start, heading, strict=True)
                    )
                    thinner = max(0.6, radius * 0.72)
                    paint_tube(volume, grid, start, end, (radius, thinner), 30.0, 2.2)
                    twig = tuple(s + draw.uniform(-14.0, 14.0) for s in end)
                    paint_tube(volume, grid, end, twig, (thinner * 0.7, 0.5), 20.0, 2.0)
                    start, radius = end, thinner

    def abdomen(self, volume: np.ndarray, grid: Grid, floor: float) -> None:
        """Paint liver, stomach and fat under the diaphragm, whose middle lies at z = `floor`."""
        draw = self.draw
        rise = draw.uniform(-6.0, 8.0)
        y = self.centre_y
        paint(
            volume,
            grid,
            Ellipsoid(
                (self.middle + 70.0, y + 22.0, floor - 52.0), UPRIGHT, (68.0, 62.0, 58.0 + rise)
            ),
            self.patient.fat,
            3.5,
        )
        paint(
            volume,
            grid,
            Ellipsoid(
                (self.middle + 66.0, y + 24.0, floor - 52.0), UPRIGHT, (46.0, 44.0, 50.0 + rise)
            ),
            42.0,
            3.5,
        )
        paint(
            volume,
            grid,
            Ellipsoid(
                (self.middle - 66.0, y + 12.0, floor - 46.0), UPRIGHT, (82.0, 74.0, 66.0 + rise)
            ),
            58.0,
            3.5,
        )
        paint(
            volume,
            grid,
            Ellipsoid((self.middle + 12.0, y - 18.0, floor - 34.0), UPRIGHT, (72.0, 50.0, 34.0)),
            58.0,
            3.5,
        )

    def bones(self, volume: np.ndarray, grid: Grid) -> None:
        """Paint spine and sternum, with the descending aorta before the spine."""
        x0, y0 = self.aorta
        bottom, top = float(grid.z[0, 0, 0]) - 20.0, float(grid.z[-1, 0, 0]) + 20.0
        lean = self.draw.uniform(-4.0, 4.0)
        paint_tube(
            volume,
            grid,
            (x0 - lean, y0, bottom),
            (x0 + lean, y0, top),
            (self.aorta_radius, self.aorta_radius),
            self.patient.blood,
        )
        self._spine(volume, grid)
        self._sternum(volume, grid)

    def _spine(self, volume: np.ndarray, grid: Grid) -> None:
        scale, bone = self.scale, self.patient.bone
        found = grid.cut(
            (self.middle - 45.0, self.spine_y - 20.0, -1e3),
            (self.middle + 45.0, self.spine_y + 70.0, 1e3),
        )
        if found is None:
            return
        where, part = found
        view = volume[where]
        x, y = part.x - self.middle, part.y - self.spine_y
        body_x, body_y = x / (19.0 * scale), y / (15.0 * scale)
        body = np.sqrt(body_x * body_x + body_y * body_y)
        body -= 1.0
        body *= 15.0 * scale  # (1, Y, X)
        pitch = 26.0 * scale
        level = (part.z + self.disc_phase) / pitch
        level = np.abs(level - np.floor(level) - 0.5) * pitch - 2.6  # distance from the disc
        # muscle and posterior elements first, then body, canal
        back = np.maximum(np.abs(x) - 30.0, np.abs(y - 32.0) - 16.0)
        blend(view, smooth_step(back + part.z * 0.0, 4.0), MUSCLE)
        arch = np.maximum(np.abs(np.abs(x) - 11.0 * scale) - 5.0, np.abs(y - 20.0 * scale) - 9.0)
        spinous = np.maximum(np.abs(x) - 4.0, np.abs(y - 40.0 * scale) - 14.0)
        wings = np.maximum(np.abs(x) - 27.0, np.abs(y - 26.0 * scale) - 4.5)
        arch = np.minimum(np.minimum(arch, spinous), wings) + 0.0 * part.z
        near_disc = np.maximum(arch, 5.0 - level)
        blend(view, smooth_step(near_disc.copy(), 2.0), 330.0)
        blend(view, smooth_step(near_disc + 2.2, 2.0), bone)
        blend(view, smooth_step(body + 0.0 * part.z, 1.8), 85.0)
        vertebra = np.maximum(body, -level)
        blend(view, smooth_step(vertebra.copy(), 1.8), 300.0 + 0.5 * bone)
        blend(view, smooth_step(vertebra + 1.8, 1.8), bone)
        canal_x, canal_y = x / 1.2, y - 22.0 * scale
        canal = np.sqrt(canal_x * canal_x + canal_y * canal_y) - 7.5
        blend(view, smooth_step(canal + 0.0 * part.z, 2.0), 28.0)

    def _sternum(self, volume: np.ndarray, grid: Grid) -> None:
        front = self.front()
        found = grid.cut(
            (self.middle - 24.0, front - 20.0, -38.0), (self.middle + 24.0, front + 6.0, 1e3)
        )
        if found is None:
            return
        where, part = found
        view = volume[where]
        x, y = (part.x - self.middle) / 2.6, part.y - (front - 6.0)
        plate = np.sqrt(x * x + y * y) - 6.0
        plate = np.maximum(plate + 0.0 * part.z, -(part.z + 34.0))
        blend(view, smooth_step(plate.copy(), 1.8), 290.0)
        blend(view, smooth_step(plate + 2.0, 1.8), 0.55 * self.patient.bone)
