"""The original's system in PyTorch, to compare with and to take weights from; needs `[torch]`."""
