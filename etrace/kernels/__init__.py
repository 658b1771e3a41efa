"""Kernels of the face; they import nothing else of it."""
