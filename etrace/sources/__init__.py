"""Flows that come from elsewhere: CSV, pc traces, another run."""
