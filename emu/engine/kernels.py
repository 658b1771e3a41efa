"""`python -m emu.engine.kernels`: where the generated kernels are (`make kernels`)."""

from emu.engine import drive  # noqa: F401 - makes them
from emu.engine.generate import FILES

if __name__ == "__main__":
    for name, file in FILES.items():
        print(f"{name}: {file}")
