"""Is it the same, and if not, where and why: verification, diagnosis."""
