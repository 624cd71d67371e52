"""What is in a file that a user brings."""
