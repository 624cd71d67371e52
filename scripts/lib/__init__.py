"""What only scripts use."""
