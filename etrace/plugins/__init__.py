"""The plugins that ship: each module has a class `Demonstrator`, for machines and decoded traces.

`ten_lines.py` is an example to begin with; it is loaded by its path like anybody's.
"""
