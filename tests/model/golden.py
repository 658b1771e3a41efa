"""The golden traces of independent tools (their README describes the files)."""

import csv
import gzip
from functools import cache
from pathlib import Path

from tests.model.rows import Outcome, Retired, Row, Trapped
from tests.model.settings import Modes, Parameters, Resync, Settings

FILES = Path(__file__).resolve().parents[1] / "golden"

#: What differs between the configurations: parameters, full address mode, packets between syncs.
CONFIGURATIONS: dict[str, tuple[dict[str, int], bool, int]] = {
    "basic": ({"itype_width_p": 4, "iaddress_lsb_p": 1, "context_width_p": 0}, False, 16),
    "full": ({"itype_width_p": 4, "iaddress_lsb_p": 0, "context_width_p": 0}, True, 32),
    "resync": ({"itype_width_p": 4, "iaddress_lsb_p": 1, "context_width_p": 0}, False, 4),
    "template": ({"itype_width_p": 3, "iaddress_lsb_p": 1, "context_width_p": 32}, False, 16),
}


def directory(name: str) -> Path:
    """Where the files of one image are."""
    return FILES / name


def settings(configuration: str, xlen: int) -> Settings:
    """The settings of a packet file."""
    widths, full_address, period = CONFIGURATIONS[configuration]
    parameters = Parameters(
        iaddress_width_p=xlen, ecause_width_p=5, privilege_width_p=2, nocontext_p=0, **widths
    )
    return Settings(parameters, Modes(full_address=full_address), Resync("packets", period))


@cache
def ingress(name: str) -> list[Row]:
    """The hart-to-encoder rows; ecall and ebreak did not retire, whatever `iretire` says."""
    rows = []
    with gzip.open(directory(name) / f"{name}.ingress.csv.gz", "rt") as file:
        for line in csv.DictReader(file):
            itype = int(line["itype_0"])
            trapped = itype in (1, 2)
            rows.append(
                Row(
                    retired=not trapped,
                    iaddr=int(line["iaddr_0"], 16),
                    size=0 if trapped else 2 << int(line["ilastsize_0"]),
                    itype=itype,
                    priv=int(line["priv"]),
                    cause=int(line["cause"]) if trapped else 0,
                    tval=int(line["tval"], 16) if itype == 1 else 0,
                    interrupt=itype == 2,
                    context=int(line["context"]),
                    ctype=int(line["ctype"]),
                )
            )
    return rows


def payloads(name: str, configuration: str) -> list[bytes]:
    """The packets of the reference encoder: a header byte 0x40 | L before each payload."""
    data = (directory(name) / f"{name}.{configuration}.te_inst_raw").read_bytes()
    found = []
    position = 0
    while position < len(data):
        length = data[position] & 0x1F
        found.append(data[position + 1 : position + 1 + length])
        position += 1 + length
    return found


@cache
def pc_trace(name: str) -> list[Outcome]:
    """What really happened, by Spike."""
    found: list[Outcome] = []
    with gzip.open(directory(name) / f"{name}.pc_trace.csv.gz", "rt") as file:
        for line in csv.DictReader(file):
            address = int(line["ADDRESS"], 16)
            privilege = int(line["PRIVILEGE"], 16)
            if line["EXCEPTION"] == "0":
                found.append(Retired(address, privilege))
                continue
            interrupt = line["INTERRUPT"] == "1"
            cause = int(line["ECAUSE"], 16) & 0x7FFF_FFFF
            tval = 0 if interrupt else int(line["TVAL"], 16)
            found.append(Trapped(cause, interrupt, tval, address, privilege))
    return found
