"""Packets to flow: which way execution went between what packets tell."""
