"""How is a pot drawn? its profile, what is measured on it, the section drawing and its files."""
