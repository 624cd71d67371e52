"""What pots look like, drawn: outlines, sherds cut from them, and how they break."""

CRUMBS = 1
"""The label of what is left over of a broken pot, and no fragment."""
