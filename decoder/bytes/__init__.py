"""Bytes to packets."""
