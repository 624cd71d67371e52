"""From a sherd to a completed pot."""
