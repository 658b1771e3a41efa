"""What a decoder should have found, where rows are traced with gaps: for tests."""

from tests.model.decoder import Decoder
from tests.model.encoder import Encoder, Stretch
from tests.model.rows import IMPRECISELY, PRECISELY, ContextReport, Outcome, Row, outcomes
from tests.model.rows import difference as first_difference
from tests.model.settings import Parameters


def difference(encoder: Encoder, decoder: Decoder) -> str | None:
    """Where flow, gaps or context reports are not what they should be; None if they are."""
    starts = [0, *(gap.position for gap in decoder.gaps)]
    ends = [*starts[1:], len(decoder.outcomes)]
    found = [decoder.outcomes[start:end] for start, end in zip(starts, ends, strict=True)]
    after_loss = [False, *(gap.lost for gap in decoder.gaps)]
    if not found[0]:
        del found[0], after_loss[0]
    expected = encoder.stretches
    if len(found) != len(expected):
        return f"{len(expected)} stretches, decoded {len(found)}"
    losses = [each.after_loss for each in expected]
    if after_loss != losses:
        return f"{decoder.gaps}, but packets were lost before {losses}"
    numbers: list[int] = []
    for stretch, flow in zip(expected, found, strict=True):
        wrong = stretch_difference(encoder.rows, stretch, flow)
        first = first_told(stretch)
        if wrong is not None:
            return f"from row {first}: {wrong}"
        numbers += range(first, first + len(flow))
    lossless = not encoder.dropped
    return report_difference(encoder.rows, numbers, decoder.reports, encoder.p, lossless)


def first_told(stretch: Stretch) -> int:
    """The first row of which packets tell: a trap that was not traced, or that of the stretch."""
    return stretch.first if stretch.trap is None else stretch.first - 1


def stretch_difference(rows: list[Row], stretch: Stretch, flow: list[Outcome]) -> str | None:
    """`flow` against the rows of a stretch: all of them, or what a loss has left."""
    expected = outcomes(rows[stretch.first : stretch.end])
    if stretch.trap is not None:
        expected.insert(0, stretch.trap)
    if not stretch.lost:
        return first_difference(expected, flow)
    if len(flow) < stretch.known - first_told(stretch):
        return f"only {len(flow)} rows known, to before row {stretch.known} expected"
    return first_difference(expected[: len(flow)], flow)


def report_difference(
    rows: list[Row],
    numbers: list[int],
    reports: list[ContextReport],
    p: Parameters,
    lossless: bool,
) -> str | None:
    """Reports against rows: outcome n is that of row `numbers[n]`.

    Near a loss the row of an imprecise report may be unknown, or the report of a known row lost.
    """

    def right(report: ContextReport, row: Row) -> bool:
        context = None if p.nocontext_p else row.context % (1 << p.context_width_p)
        time = None if p.notime_p else row.time % (1 << p.time_width_p)
        return (report.context, report.time) == (context, time)

    if p.nocontext_p and p.notime_p:
        return None if not reports else "reports of nothing"
    precise = {report.position: report for report in reports if report.precise}
    if len(precise) != sum(report.precise for report in reports):
        return "two precise reports of one row"
    for position, report in precise.items():
        if not right(report, rows[numbers[position]]):
            return f"row {numbers[position]}: {report}"
    waiting = iter([at for at, report in enumerate(reports) if not report.precise])
    for position, number in enumerate(numbers):
        row = rows[number]
        if not row.retired or row.ctype == 0 or position in precise:
            continue
        if row.ctype >= PRECISELY:
            return f"row {number}: no precise report"
        assert row.ctype == IMPRECISELY
        if not lossless:
            continue
        at = next(waiting, None)
        if at is None:
            return f"row {number}: no report"
        report = reports[at]
        following = [each.position for each in reports[at:] if each.precise]
        if not right(report, row) or report.position > position + 1:
            return f"row {number}: {report}"
        if following and following[0] <= position:
            return f"row {number}: {report} comes too early"
    surplus = lossless and next(waiting, None) is not None
    return "a report too many" if surplus else None
