"""Where in its pot a sherd lay."""
