"""What is said of several loose sherds of one pot: which lie where, and what nothing tells."""

from voxgan_jax.scan.pose import Loose


def sentences(sherds: tuple[Loose, ...] | None) -> list[str]:
    """Which of several loose sherds lie where in the pot, and what nothing tells; in sentences
    without a full stop."""
    if not sherds:
        return []
    placed = [sherd.file for sherd in sherds if sherd.move is not None]
    aside = [sherd.file for sherd in sherds if sherd.move is None]
    found = []
    if len(placed) > 1:
        (frame, *_) = (sherd.file for sherd in sherds if sherd.frame)
        lie = f"{len(placed)} loose sherds lie in one pot in the coordinates of {frame}"
        found.append(f"{lie}: {', '.join(placed)}")
        found.append("how each was turned about the axis nothing tells: they stand apart around it")
    if aside:
        why = "the pot that the others make does not foretell it; restore it alone"
        if len(placed) < 2:
            why = f"no two of the sherds agree, and {placed[0]} is surest alone"
        found.append(f"set aside: {', '.join(aside)}, as {why}")
    found += [f"{sherd.file}: {note}" for sherd in sherds for note in sherd.notes]
    return found
