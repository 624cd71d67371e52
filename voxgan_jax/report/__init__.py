"""What is shown of a restored pot."""
