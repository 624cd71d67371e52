"""The files that a drawing is written to, by their formats."""

from voxgan_jax.drawing import dxf, pdf, plan, svg
from voxgan_jax.drawing.figure import Figure
from voxgan_jax.drawing.profile import Profile, table

FORMATS = ("svg", "pdf", "dxf", "csv")


def content(
    form: str, figure: Figure | None, profile: Profile, name: str, times: int | None = None
) -> str | bytes:
    """What a file of one of FORMATS holds.

    Args:
        name: of the pot.
        times: how many times smaller than the pot it is printed; None: see `svg.svg`, `pdf.single`.
    """
    if form == "svg":
        return svg.svg(figure, times)
    if form == "pdf":
        return pdf.single(figure, name, times)
    return dxf.dxf(plan.compose(figure, times)) if form == "dxf" else table(profile)
