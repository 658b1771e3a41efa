"""Packets, their packing and framing, and the predictors that encoder and decoder share."""
