"""Packets to bytes, and the link that may lose them."""
