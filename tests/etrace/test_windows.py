"""Windows of instructions, from the command line to the decoded flow: these, and no more."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import etrace
from etrace.errors import InputError
from etrace.recording.sideband import Telling
from etrace.trace.header import Header
from specs.configuration.parameters import from_dict
from tests.etrace.conftest import Run
from tests.etrace.test_tracefile import HEADER, read, refusal, values, with_header
from tests.test_matrix import CONFIGURATIONS

Pcs = npt.NDArray[np.uint64]


@pytest.fixture(scope="module")
def whole(firmware: Path) -> dict[int, Pcs]:
    """The whole flow of the program, by width."""
    return {xlen: etrace.record(elf_of(firmware, xlen)).pcs() for xlen in (32, 64)}


def elf_of(firmware: Path, xlen: int) -> Path:
    return firmware / f"storm-rv{xlen}.elf"


def slices(pcs: Pcs, windows: tuple[tuple[int, int | None], ...]) -> list[int]:
    found = [pcs[skip : None if count is None else skip + count] for skip, count in windows]
    return np.concatenate(found).tolist()


def written(windows: tuple[tuple[int, int | None], ...]) -> tuple[str, ...]:
    return tuple(f"{skip}:{'' if count is None else count}" for skip, count in windows)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_configuration(name: str, firmware: Path, whole: dict[int, Pcs]) -> None:
    """At the beginning, at places of all kinds, single ones, neighbours, and to the end."""
    for xlen, pcs in whole.items():
        end = len(pcs)
        windows = ((0, 3), (50, 1), (1000, 100), (1100, 37), (2001, 700), (end - 40, None))
        trace = etrace.record(
            elf_of(firmware, xlen),
            params=from_dict(CONFIGURATIONS[name], xlen),
            telling=Telling(windows=written(windows)),
        )
        assert trace.pcs().tolist() == slices(pcs, windows)
        flow = trace.decode()
        # 1000 to 1136 is in one piece
        assert len(flow.pauses) >= 4 and not len(flow.gaps)
        assert trace.verify().same


@pytest.mark.parametrize("xlen", [32, 64])
def test_any_windows(xlen: int, firmware: Path, whole: dict[int, Pcs]) -> None:
    pcs = whole[xlen]
    rng = np.random.default_rng(xlen)
    parameters = from_dict(CONFIGURATIONS["all"], xlen)
    for _ in range(20):
        edges = np.sort(rng.choice(len(pcs), 8, replace=False)).tolist()
        windows = tuple(
            (low, high - low) for low, high in zip(edges[::2], edges[1::2], strict=True)
        )
        trace = etrace.record(
            elf_of(firmware, xlen), params=parameters, telling=Telling(windows=written(windows))
        )
        assert trace.pcs().tolist() == slices(pcs, windows)
        assert trace.verify().same


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("0:1", 0, 1),
        ("0:", 0, None),
        ("0x10:0x20", 16, 48),
        ("{last}:1", -1, None),
        ("{last}:100", -1, None),
        ("{last}:", -1, None),
    ],
)
def test_one_window(
    text: str,
    low: int,
    high: int | None,
    run: Run,
    firmware: Path,
    tmp_path: Path,
    whole: dict[int, Pcs],
) -> None:
    path = tmp_path / "t.etrace"
    given = text.format(last=len(whole[64]) - 1)
    run("record", elf_of(firmware, 64), "-o", path, "--trace-window", given)
    run("verify", path)
    assert etrace.open(path).pcs().tolist() == whole[64][low:high].tolist()


def test_a_window_behind_the_end(run: Run, firmware: Path, tmp_path: Path) -> None:
    """Nothing is traced, and that is what `verify` expects."""
    path = tmp_path / "t.etrace"
    run("record", elf_of(firmware, 64), "-o", path, "--trace-window", "9999999:10")
    assert not len(etrace.open(path).pcs())
    run("verify", path)


def test_the_budget_ends_a_window(firmware: Path, whole: dict[int, Pcs]) -> None:
    trace = etrace.record(
        elf_of(firmware, 64), max_instructions=500, telling=Telling(windows=("400:1000",))
    )
    assert trace.pcs().tolist() == whole[64][400:500].tolist()
    assert trace.verify().same


def test_other_windows_do_not_verify(firmware: Path) -> None:
    """The comparison is with what the windows of the header leave."""
    trace = etrace.record(elf_of(firmware, 64), telling=Telling(windows=("300:100",)))
    assert trace.verify().same
    other = etrace.record(elf_of(firmware, 64), telling=Telling(windows=("301:99",)))
    object.__setattr__(trace.header, "sideband", other.header.sideband)
    assert not trace.verify().same


def test_with_filters_both_have_to_hold(
    run: Run, firmware: Path, tmp_path: Path, whole: dict[int, Pcs]
) -> None:
    path = tmp_path / "t.etrace"
    pcs = whole[64][1000:3000]
    low, high = np.sort(pcs)[[300, 1500]].tolist()
    options = ["--trace-window", "1000:2000", "--filter-range", f"{low}-{high}"]
    run("record", elf_of(firmware, 64), "-o", path, *options)
    run("verify", path)
    inside = [pc for pc in pcs.tolist() if low <= pc <= high]
    assert 0 < len(inside) < len(pcs)
    assert etrace.open(path).pcs().tolist() == inside


def test_with_context_and_time(run: Run, firmware: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.etrace"
    told = ["--time", "instret", "--time-every", 10, "--context-csr", "mscratch"]
    told += ["--trace-window", "1000:2000", "--trigger", "notify@0x80000000"]
    run("record", elf_of(firmware, 64), "-o", path, *told)
    run("verify", path)
    assert len(etrace.open(path).pcs()) == 2000


def test_the_header_reads_back(firmware: Path) -> None:
    options = Telling(windows=("5:10", "20:")).options(())
    assert options is not None and options.windows == ((5, 10), (20, None))
    header, _ = read(Header(**{**vars(HEADER), "sideband": options}).pack())
    assert header is not None and header.sideband == options


@pytest.mark.parametrize(
    "windows",
    [5, [5], [[5]], [["5", 1]], [[5, 0]], [[5, True]], [[-1, 1]], [[0, 2], [1, 2]], [[1 << 70, 1]]],
)
def test_a_damaged_header_is_refused(windows: object) -> None:
    good = {"context_csr": None, "context_type": 2, "time": None, "time_every": 1, "triggers": []}
    read(with_header({**values(), "sideband": good | {"windows": [[0, 1], [1, None]]}}))
    damaged = {**values(), "sideband": good | {"windows": windows}}
    assert "damaged file" in refusal(with_header(damaged))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trace-window", "5"], "window 5: must be SKIP:COUNT"),
        (["--trace-window", ":5"], "window :5: must be SKIP:COUNT"),
        (["--trace-window", "a:5"], "window a:5: must be SKIP:COUNT"),
        (["--trace-window", "5:b"], "window 5:b: must be SKIP:COUNT"),
        (["--trace-window", "5:0"], "has no instructions; give"),
        (["--trace-window", "5:-1"], "window 5:-1: numbers must be"),
        (["--trace-window", "5:9", "--trace-window", "8:2"], "overlap; give one for both, 5:9"),
        (["--trace-window", "5:9", "--trigger", "on@0x80000000"], "give only the windows"),
    ],
)
@pytest.mark.parametrize("verb", ["record", "run"])
def test_wrong_options(
    run: Run, firmware: Path, tmp_path: Path, verb: str, options: list[str], message: str
) -> None:
    path = tmp_path / "t.etrace"
    output = ["-o", path] if verb == "record" else []
    result = run(verb, elf_of(firmware, 64), *output, *options, code=2)
    assert message in result.stderr and result.stderr.count("\n") == 1
    assert not path.exists()


def test_a_parameter_file_with_a_trace_table_of_its_own(firmware: Path) -> None:
    telling = Telling(windows=("10:20",))
    for table in ({"trTeInstTracing": False}, {"trTeInstTrigEnable": True}):
        with pytest.raises(InputError, match="windows need trTeInstTrigEnable = true"):
            etrace.record(
                elf_of(firmware, 64), params=from_dict({"trace": table}, 64), telling=telling
            )
    both = from_dict({"trace": {"trTeInstTracing": False, "trTeInstTrigEnable": True}}, 64)
    trace = etrace.record(elf_of(firmware, 64), params=both, telling=telling)
    assert len(trace.pcs()) == 20


def test_info_counts_what_is_traced(run: Run, firmware: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.etrace"
    run("record", elf_of(firmware, 64), "-o", path, "--trace-window", "100:200")
    assert json.loads(run("info", path, "--json").stdout)["instructions"] == 200
