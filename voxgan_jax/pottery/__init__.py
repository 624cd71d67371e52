"""What pots look like, drawn: outlines, and how they break."""

CRUMBS = 1
"""The label of what is left over of a broken pot, and no fragment."""
