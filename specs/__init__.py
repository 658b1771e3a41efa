"""What the specifications say, as data and small pure functions."""

from specs.aliases import install

install()
