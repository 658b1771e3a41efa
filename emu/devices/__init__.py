"""Devices: each with load, store, and when it next wants attention."""
