"""From a file to a restored pot, and from many files to many."""
