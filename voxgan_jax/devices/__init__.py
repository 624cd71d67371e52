"""Which devices, and which processes."""
