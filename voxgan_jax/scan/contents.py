"""What the file of a mesh held, and what was done with it: told to the user, and in the report."""

from typing import Literal, NamedTuple

Size = tuple[float, float, float]

_NAMED = 6
"""So many bodies at most are named with their sizes."""


class Body(NamedTuple):
    """One of several bodies: its size along x, y and z, its share of the area, its faces."""

    size: Size
    share: float
    faces: int


class Contents(NamedTuple):
    """What a file held; lengths in its unit, or in mm where `scaled` put them.

    `bodies`: what is big, the biggest first; `taken`: the number of the one that was taken, from 1
    on, None where all were. `dust`: how many small bodies that touch nothing were left out,
    `dust_share` their share of the area, `dust_size` that of the greatest. `turned`: how many faces
    were turned; `outward`: whether it is known that all look outward now. `origin`: what was taken
    from all coordinates, and `steps` on what steps they stand, 0 where these are fine enough.
    `unit_mm`: how many mm a coordinate was taken for, None before `scaled`, and of voxels.
    `colours`: what is missing of them.
    """

    bodies: tuple[Body, ...] = ()
    taken: int | None = None
    dust: int = 0
    dust_share: float = 0.0
    dust_size: Size = (0.0, 0.0, 0.0)
    turned: int = 0
    outward: bool = True
    origin: Size = (0.0, 0.0, 0.0)
    steps: float = 0.0
    unit_mm: float | None = None
    colours: str = ""

    def scaled(self, factor: float) -> "Contents":
        """With all lengths multiplied."""
        return self._replace(
            bodies=tuple(body._replace(size=_times(body.size, factor)) for body in self.bodies),
            dust_size=_times(self.dust_size, factor),
            origin=_times(self.origin, factor),
            steps=self.steps * factor,
            unit_mm=factor,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user has to know of it, in sentences without a full stop; lengths are mm."""
        told = []
        if self.dust:
            many = "one body" if self.dust == 1 else f"{self.dust} bodies"
            touch = "that touches nothing" if self.dust == 1 else "that touch nothing"
            size = f"{'' if self.dust == 1 else 'the greatest '}{sides(self.dust_size)} mm"
            share = f"{_number(100 * self.dust_share)} % of the area"
            told.append(f"left out as dust: {many} {touch}, {size}, {share}")
        if len(self.bodies) > 1:
            if self.taken:
                what = f"body {self.taken}, {sides(self.bodies[self.taken - 1].size)} mm, was taken"
            else:
                what = "all were taken together as they lie"
            told.append(f"of {len(self.bodies)} bodies in the file {what}")
        if any(self.origin):
            told.append(
                "all coordinates of the results are about a local origin: add"
                f" ({', '.join(f'{part:.15g}' for part in self.origin)}) mm to have the scan's"
            )
        if self.steps:
            told.append(
                f"so far from their origin its coordinates stand on steps of {self.steps:.3g} mm,"
                " and what is finer was lost; export it about an origin near it"
            )
        return (*told, self.colours) if self.colours else tuple(told)

    @property
    def several(self) -> str:
        """That it is not known which body is meant, and how to say so."""
        return (
            f"it holds {len(self.bodies)} bodies ({_listed(self.bodies)}); give --largest to"
            " restore the largest alone, --body N to restore another, or --body all where they lie"
            " as they did in one pot"
        )


NOTHING = Contents()
"""Nothing is told of the file."""


def sides(size: Size) -> str:
    """A size, "145 × 117 × 81"."""
    return " × ".join(map(_number, size))


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _listed(bodies: tuple[Body, ...]) -> str:
    named = [
        f"{number}: {sides(body.size)} mm, {_number(100 * body.share)} % of the area"
        for number, body in enumerate(bodies[:_NAMED], 1)
    ]
    return "; ".join(named) + ("; …" if len(bodies) > _NAMED else "")


def _times(size: Size, factor: float) -> Size:
    x, y, z = size
    return x * factor, y * factor, z * factor


Which = int | Literal["all"] | None
"""Which bodies are meant: the number of one, all, or not said."""
