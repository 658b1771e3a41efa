"""Retirement in, E-Trace packets out."""

from encoder.encoder import Encoder, Statistics

__all__ = ["Encoder", "Statistics"]
