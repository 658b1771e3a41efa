"""An independent reading of the specifications, slow and obvious: what the product is tested on.

Nothing here imports anything of ours: a table shared with the product could make both wrong
together, and every round trip would still pass.
"""
