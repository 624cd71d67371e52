"""What is typed: the command voxgan."""
