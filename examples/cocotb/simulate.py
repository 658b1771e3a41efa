"""Build the packetiser with Icarus Verilog and run its test bench: `python simulate.py EVENTS`."""

import argparse
import os
import shutil
import sys
import xml.etree.ElementTree as ET
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent


def what_is_missing() -> str:
    """What has to be installed first, in words; "" if all is there."""
    if find_spec("cocotb") is None:
        return "no cocotb here; pip install cocotb"
    if shutil.which("iverilog") is None:
        return "no iverilog here; install Icarus Verilog (Debian: iverilog)"
    return ""


def simulate(events: Path, build: Path, *, bug: int = 0, log: Path | None = None) -> str:
    """Run the bench with the ingress CSV `events`, in the directory `build`; the failure in words,
    "" if there is none. `log`: where the simulator's output goes; None: the terminal.
    """
    from cocotb_tools.runner import get_runner

    runner = get_runner("icarus")
    runner.build(
        sources=[HERE / "packetiser.sv"],
        hdl_toplevel="packetiser",
        parameters={"BUG": bug},
        build_dir=build,
        build_args=["-g2012"],
        timescale=("1ns", "1ns"),
        always=True,
    )
    # the simulator has a Python of its own: it is to find this bench and what this process finds
    path = os.pathsep.join([str(HERE), *(each for each in sys.path if each)])
    results = build / "results.xml"
    with suppress(SystemExit):  # which is how the runner tells pytest that a test failed
        runner.test(
            hdl_toplevel="packetiser",
            test_module="bench",
            build_dir=build,
            test_dir=build,
            results_xml=str(results),
            extra_env={
                "PYTHONPATH": path,
                "EVENTS": str(Path(events).resolve()),
                "PARAMS": str(HERE / "packetiser.toml"),
            },
            log_file=log,
        )
    if not results.exists():
        return "the simulator ended without a result; see its output"
    failures = ET.parse(results).getroot().iter("failure")
    return "\n".join(each.get("message") or each.text or "failed" for each in failures)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", type=Path, help="ingress CSV, of a hart with 32-bit addresses")
    parser.add_argument("--bug", type=int, default=0, help="a fault of packetiser.sv, 1 to 3")
    parser.add_argument("--build", type=Path, default=Path("sim_build"))
    options = parser.parse_args()
    if missing := what_is_missing():
        print(f"simulate.py: {missing}", file=sys.stderr)
        return 2
    failure = simulate(options.events, options.build.resolve(), bug=options.bug)
    print(failure or "each packet is the model's")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
