"""The chest around the heart: wall, lungs, mediastinum, diaphragm, spine, great vessels."""

from __future__ import annotations

import itertools

import numpy as np

from benchmark.phantom.heart import (
    BRANCHES,
    INFERIOR_CAVA,
    LUNG_VEINS,
    PULMONARY,
    SUPERIOR_CAVA,
    Heart,
    paint_line,
)
from benchmark.phantom.patient import Patient
from benchmark.phantom.shapes import (
    Ellipsoid,
    Grid,
    Vector,
    blend,
    fillet,
    paint,
    paint_tube,
    smooth_step,
)

UPRIGHT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
AIR = -1000.0
MUSCLE = 48.0


class Body:
    """Positions in the chest of one person, mm in the body frame; HU where said.

    The heart decides where sternum and spine are, so that it fills the room between them.

    Parameters
    ----------
    patient : Patient
        Girth, breasts and intensities.
    heart : Heart
        Built already.
    """

    def __init__(self, patient: Patient, heart: Heart) -> None:
        draw = patient.stream("lungs")
        self.patient, self.heart, self.draw = patient, heart, draw
        low, high = heart.bounds(patient.shell + 1.0)
        self.scale = round(0.55 + 0.45 * patient.size, 6)
        self.middle = draw.uniform(-27.0, -11.0) * self.scale
        front_room = draw.uniform(1.0, 9.0) + 0.5 * patient.front_fat
        #: y of the inner surface of the sternum
        self.front = low[1] - front_room
        #: y of the front of the vertebrae
        self.spine = heart.chambers["left atrium"].reach()[1][1] + draw.uniform(7.0, 20.0)
        back = self.spine + draw.uniform(34.0, 44.0) * self.scale
        self.depth = 0.5 * (back - self.front)
        self.centre_y = 0.5 * (back + self.front)
        self.width = max(
            self.depth * draw.uniform(1.22, 1.48), high[0] - self.middle + draw.uniform(2.0, 14.0)
        )
        self.wall = 22.0 * patient.girth * patient.girth
        self.aorta = (self.middle + draw.uniform(16.0, 27.0), self.spine + draw.uniform(-9.0, 5.0))
        self.aorta_radius = draw.uniform(10.5, 14.5)
        self.arch = 78.0 * self.scale + draw.uniform(0.0, 14.0)
        self.rib_phase = draw.uniform(0.0, 24.0)
        self.disc_phase = draw.uniform(0.0, 26.0)
        self.cartilage = draw.uniform(70.0, 110.0)
        self.cartilage_rim = draw.uniform(150.0, 320.0) if draw.chance(0.35) else self.cartilage
        # The heart rests on the diaphragm from the right atrium to the apex, somewhat sunk in.
        atrium, ventricle = heart.chambers["right atrium"], heart.chambers["left ventricle"]
        sunk = draw.uniform(0.0, 8.0)
        #: (x, z) of the diaphragm under right atrium and left ventricle
        self.floor = (
            (atrium.centre[0], atrium.reach()[0][2] + sunk),
            (ventricle.centre[0] + 15.0, ventricle.reach()[0][2] + sunk),
        )
        self.right_dome = draw.uniform(0.0, 22.0)
        self.left_dome = draw.uniform(-6.0, 12.0)
        self.gas = draw.uniform(0.0, 24.0)

    # -- painting, in the order of `paint_body` --------------------------------------------------

    def base(self, grid: Grid) -> np.ndarray:
        """Return a new volume (Z, Y, X, HU, float32) of wall, ribs, lungs and mediastinal fat."""
        patient = self.patient
        x, y = grid.x[0], grid.y[0]
        image = np.full(grid.shape[1:], AIR, np.float32)
        table = np.maximum(np.abs(y - (self.centre_y + self.depth + 62.0)) - 4.0, np.abs(x) - 220.0)
        blend(image, smooth_step(table + 0.0 * x, 2.0), -820.0)
        wall = self._wall(x, y)
        skin = 20.0 + self.wall
        outside = wall - skin
        if patient.breast > 8.0:
            for side in (-1.0, 1.0):
                bx = (x - self.middle - side * 78.0) / 62.0
                by = (y - self.front + skin - 6.0) / (patient.breast + 14.0)
                round_breast = np.sqrt(bx * bx + by * by)
                round_breast -= 1.0
                round_breast *= patient.breast + 14.0
                outside = fillet(outside, round_breast, 16.0)
        if patient.scanner.arms_down:
            self._arms(image, x, y)
        blend(image, smooth_step(outside.copy(), 1.8), MUSCLE)
        blend(image, smooth_step(outside + 2.0, 1.8), patient.fat)
        if patient.breast > 16.0:
            self._glands(image, x, y, outside)
        for depth, value in (
            (22.0, MUSCLE),  # pectoral and back muscles
            (15.0, patient.fat),
            (12.0, MUSCLE),
            (1.0, patient.fat),
            (0.0, patient.lung),
        ):
            blend(image, smooth_step(wall - depth, 1.8), value)
        self._mediastinum(image, x, y, wall)
        volume = np.empty(grid.shape, np.float32)
        volume[:] = image
        self._ribs(volume, grid, wall)
        return volume

    def _wall(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return about the distance (mm) to the pleura, negative in the lung; a boxy ellipse."""
        across = (x - self.middle) / self.width
        deep = (y - self.centre_y) / self.depth
        across *= across
        deep *= deep
        wall = np.sqrt(across + deep)
        wall += np.sqrt(np.sqrt(across * across + deep * deep))
        wall *= 0.5
        wall -= 1.0
        wall *= self.depth
        return wall

    def _arms(self, image: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        for side in (-1.0, 1.0):
            ax = x - (self.middle + side * (self.width + 20.0 + self.wall + 58.0))
            ay = y - (self.centre_y + 15.0)
            arm = np.sqrt(ax * ax + ay * ay)
            blend(image, smooth_step(arm - 44.0, 2.0), self.patient.fat)
            blend(image, smooth_step(arm - 32.0, 3.0), MUSCLE)
            blend(image, smooth_step(arm - 12.0, 2.0), 700.0)
            blend(image, smooth_step(arm - 6.0, 2.0), 60.0)

    def _glands(self, image: np.ndarray, x: np.ndarray, y: np.ndarray, outside: np.ndarray) -> None:
        for side in (-1.0, 1.0):
            gx = (x - self.middle - side * 76.0) / 34.0
            gy = (y - self.front + 20.0 + self.wall) / (0.6 * self.patient.breast)
            gland = np.sqrt(gx * gx + gy * gy)
            gland -= 1.0
            gland *= 12.0
            blend(image, smooth_step(np.maximum(gland, outside + 5.0), 8.0), 15.0)

    def _mediastinum(
        self, image: np.ndarray, x: np.ndarray, y: np.ndarray, wall: np.ndarray
    ) -> None:
        """Paint fat behind the sternum and before the spine, aortic bed and oesophagus."""
        patient = self.patient
        deep = (y - self.front) / (self.spine - self.front)  # 0 at the sternum, 1 at the spine
        waist = np.maximum(22.0 - 90.0 * deep, 0.0) + np.maximum((deep - 0.60) * 45.0, 0.0) + 4.0
        inside = np.maximum(np.abs(x - (self.middle + 7.0)) - waist, wall)
        inside = np.maximum(inside, y - (self.spine + 14.0))
        blend(image, smooth_step(inside, 4.0), patient.fat)
        x0, y0 = self.aorta
        bed = np.sqrt((x - x0) * (x - x0) + (y - y0) * (y - y0)) - (self.aorta_radius + 2.0)
        blend(image, smooth_step(bed, 2.5), patient.fat)
        gx, gy = (x - (self.middle + 9.0)) / 1.4, y - (self.spine - 9.0)
        gullet = np.sqrt(gx * gx + gy * gy) - 6.0
        blend(image, smooth_step(gullet, 2.0), 36.0)
        vx, vy = x - (self.middle - 4.0), y - (self.spine + 1.0)  # azygos vein
        blend(image, smooth_step(np.sqrt(vx * vx + vy * vy) - 4.0, 2.0), patient.blood)

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
        front = np.minimum(np.maximum((y - (self.centre_y - 0.55 * self.depth)) / 12.0, 0.0), 1.0)
        cortex = front * 330.0 + (1.0 - front) * self.cartilage_rim
        marrow = front * 130.0 + (1.0 - front) * self.cartilage
        part = volume[:, rows, columns]
        blend(part, smooth_step(radius.copy(), 2.0), cortex)
        radius += 2.4
        blend(part, smooth_step(radius, 2.0), marrow)
        volume[:, rows, columns] = part

    def lung_vessels(self, volume: np.ndarray, grid: Grid) -> None:
        """Paint vessels that spread from both hila into the lungs, and the hila themselves."""
        draw = self.draw
        for side in (-1.0, 1.0):
            hilum = (self.middle + 10.0 + side * 42.0, self.spine - 34.0, 26.0)
            paint(
                volume,
                grid,
                Ellipsoid(
                    hilum,
                    UPRIGHT,
                    (draw.uniform(7.0, 13.0), draw.uniform(10.0, 16.0), draw.uniform(14.0, 26.0)),
                ),
                28.0,
                6.0,
            )
            for _ in range(8):
                start = tuple(h + draw.uniform(-8.0, 8.0) for h in hilum)
                heading = (
                    side * draw.uniform(0.0, 1.0),
                    draw.uniform(-1.1, 0.9),
                    draw.uniform(-1.4, 1.0),
                )
                radius = draw.uniform(2.2, 5.0)
                for _ in range(4):
                    step = draw.uniform(9.0, 22.0)
                    end = tuple(
                        s + step * (h + draw.uniform(-0.35, 0.35))
                        for s, h in zip(start, heading, strict=True)
                    )
                    thinner = max(0.6, radius * 0.72)
                    paint_tube(volume, grid, start, end, (radius, thinner), 30.0, 2.2)  # type: ignore[arg-type]
                    twig = tuple(s + draw.uniform(-14.0, 14.0) for s in end)
                    paint_tube(volume, grid, end, twig, (thinner * 0.7, 0.5), 20.0, 2.0)  # type: ignore[arg-type]
                    start, radius = end, thinner

    def abdomen(self, volume: np.ndarray, grid: Grid) -> None:
        """Paint diaphragm, liver, stomach and spleen; the heart rests on them.

        The diaphragm is one surface of height over the plane: flat under the heart, a dome on
        either side, steep towards the wall.
        """
        x, y = grid.x[0], grid.y[0]
        right = (x - (self.middle - 62.0)) / 75.0
        left = (x - (self.middle + 72.0)) / 62.0
        back = (y - self.centre_y) / self.depth
        height = np.maximum(1.0 - right * right, 0.0) * self.right_dome
        height += np.maximum(1.0 - left * left, 0.0) * self.left_dome
        height = height - np.maximum(back * back - 0.15, 0.0) * 30.0
        wall = self._wall(x, y)
        fall = np.maximum(wall + 30.0, 0.0)
        height -= fall * fall * 0.045
        (x0, z0), (x1, z1) = self.floor
        along = np.minimum(np.maximum((x - x0) / max(20.0, x1 - x0), 0.0), 1.2)
        height += z0 + (z1 - z0) * along
        top = float(height.max()) + 4.0
        slices = int(np.searchsorted(grid.z.ravel(), np.float32(top)))
        if slices == 0:
            return
        view = volume[:slices]
        depth = grid.z[:slices] - height
        inside = np.maximum(depth, wall + 1.0)
        patient = self.patient
        blend(view, smooth_step(inside + 0.0, 3.0), MUSCLE)
        # Liver under the right dome and the heart, fat and stomach under the left dome.
        edge = x - (self.middle + 34.0 + 0.25 * (y - self.centre_y))
        liver = np.maximum(inside + 2.0, edge)
        blend(view, smooth_step(inside + 2.0, 2.0), patient.fat)
        blend(view, smooth_step(liver, 3.0), 56.0)
        sx, sy = (x - (self.middle + 74.0)) / 38.0, (y - (self.centre_y - 8.0)) / 46.0
        stomach = np.sqrt(sx * sx + sy * sy) - 1.0
        stomach = np.maximum(stomach * 38.0, inside + 5.0)
        blend(view, smooth_step(stomach + 0.0, 3.0), 34.0)
        if self.gas > 8.0:
            level = y - (self.centre_y - 8.0 - 46.0 + self.gas)
            blend(view, smooth_step(np.maximum(stomach + 3.0, level), 2.5), -900.0)
        px, py = (x - (self.middle + 96.0)) / 30.0, (y - (self.centre_y + 46.0)) / 34.0
        spleen = np.sqrt(px * px + py * py) - 1.0
        blend(view, smooth_step(np.maximum(spleen * 30.0, inside + 4.0), 2.5), 48.0)

    def vessels(self, volume: np.ndarray, grid: Grid) -> None:
        """Paint mediastinal fat round the great vessels, their branches, and the airways."""
        patient, heart = self.patient, self.heart
        sheath = Ellipsoid(
            (self.middle + 13.0, 0.45 * self.front + 0.55 * self.spine, 66.0 * self.scale),
            UPRIGHT,
            (36.0 * self.scale, 0.40 * (self.spine - self.front), 58.0),
        )
        paint(volume, grid, sheath, patient.fat, 6.0)
        for line in (heart.ascending, PULMONARY, SUPERIOR_CAVA):
            paint_line(volume, grid, heart, line, patient.fat, 3.5)
        x0, y0 = self.aorta
        top = (heart.beside(heart.ascending[-1][0])[0], heart.beside(heart.ascending[-1][0])[1])
        arch = (
            ((top[0], top[1], self.arch - 6.0), 13.5),
            ((0.5 * (top[0] + x0) + 4.0, 0.5 * (top[1] + y0), self.arch + 8.0), 13.0),
            ((x0, y0, self.arch - 6.0), 12.5),
        )
        for (a, wide), (b, narrow) in itertools.pairwise(arch):
            paint_tube(volume, grid, a, b, (wide + 3.5, narrow + 3.5), patient.fat, 2.2)
        for (a, wide), (b, narrow) in itertools.pairwise(arch):
            paint_tube(volume, grid, a, b, (wide, narrow), patient.blood, 2.2)
        for line in (*BRANCHES, *LUNG_VEINS, INFERIOR_CAVA):
            paint_line(volume, grid, heart, line, patient.blood)
        carina = (self.middle + 2.0, self.spine - 22.0, 64.0 * self.scale)
        airways: tuple[tuple[Vector, Vector, float], ...] = (
            (carina, (self.middle, self.spine - 26.0, 220.0), 8.5),
            (carina, (self.middle - 34.0, self.spine - 24.0, 42.0 * self.scale), 6.5),
            (carina, (self.middle + 46.0, self.spine - 24.0, 44.0 * self.scale), 6.0),
        )
        for wide, value in ((2.0, 20.0), (0.0, -960.0)):
            for start, end, radius in airways:
                paint_tube(volume, grid, start, end, (radius + wide, radius + wide), value, 1.8)

    def great_vessels(self, volume: np.ndarray, grid: Grid) -> None:
        """Paint the blood of the great vessels at the heart, after its fat."""
        for line in (PULMONARY, SUPERIOR_CAVA, self.heart.ascending):
            paint_line(volume, grid, self.heart, line, self.patient.blood)

    def bones(self, volume: np.ndarray, grid: Grid) -> None:
        """Paint spine and sternum, with the descending aorta before the spine."""
        x0, y0 = self.aorta
        bottom = float(grid.z[0, 0, 0]) - 20.0
        lean = self.draw.uniform(-4.0, 4.0)
        radii = (self.aorta_radius, self.aorta_radius)
        paint_tube(
            volume,
            grid,
            (x0 - lean, y0 + 4.0, bottom),
            (x0, y0, self.arch - 6.0),
            radii,
            self.patient.blood,
        )
        self._spine(volume, grid)
        self._sternum(volume, grid)

    def _spine(self, volume: np.ndarray, grid: Grid) -> None:
        scale, bone = self.scale, self.patient.bone
        centre = self.spine + 15.0 * scale
        found = grid.cut(
            (self.middle - 45.0, centre - 20.0, -1e3), (self.middle + 45.0, centre + 70.0, 1e3)
        )
        if found is None:
            return
        where, part = found
        view = volume[where]
        x, y = part.x - self.middle, part.y - centre
        body_x, body_y = x / (19.0 * scale), y / (15.0 * scale)
        body = np.sqrt(body_x * body_x + body_y * body_y)
        body -= 1.0
        body *= 15.0 * scale  # (1, Y, X)
        pitch = 26.0 * scale
        level = (part.z + self.disc_phase) / pitch
        level = np.abs(level - np.floor(level) - 0.5) * pitch - 2.6  # distance from the disc
        # muscle and posterior elements first, then body, canal
        back_x, back_y = np.abs(x) - 20.0, y - 32.0
        back = np.sqrt(back_x * back_x + back_y * back_y) - 21.0
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
        front = self.front
        found = grid.cut(
            (self.middle - 24.0, front - 20.0, -44.0), (self.middle + 24.0, front + 6.0, 1e3)
        )
        if found is None:
            return
        where, part = found
        view = volume[where]
        x, y = (part.x - self.middle) / 2.6, part.y - (front - 7.0)
        plate = np.sqrt(x * x + y * y) - 6.0
        plate = np.maximum(plate + 0.0 * part.z, -(part.z + 38.0))
        blend(view, smooth_step(plate.copy(), 1.8), 290.0)
        blend(view, smooth_step(plate + 2.0, 1.8), 0.55 * self.patient.bone)
