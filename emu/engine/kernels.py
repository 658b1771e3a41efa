"""`python -m emu.engine.kernels`: where the generated kernels are (`make kernels`)."""

from emu.engine import drive  # noqa: F401 - makes them
from emu.engine.generate import KERNELS

if __name__ == "__main__":
    for name, kernel in KERNELS.items():
        print(f"{name}: {kernel.file}")
