"""The plugin pytest-etrace, for pytest to find (etrace.testing.plugin).

pytest loads the plugins of all packages that are installed, for every project. It stands outside of
`etrace` because that cannot be imported where a directory hides one of its rooms (`encoder`, say):
then tests run as without it, and the head of pytest's output says why.
"""

try:
    from etrace.testing.plugin import (
        _assert_trace_matches,
        etrace_record,
        etrace_reference,
        pytest_addoption,
        pytest_configure,
        pytest_runtest_makereport,
        pytest_runtest_protocol,
    )
except ImportError as error:
    _REASON = str(error)

    def pytest_report_header() -> str:
        """A line at the head of the output."""
        return f"etrace: its fixtures are not there: {_REASON}"

else:
    __all__ = [
        "_assert_trace_matches",
        "etrace_record",
        "etrace_reference",
        "pytest_addoption",
        "pytest_configure",
        "pytest_runtest_makereport",
        "pytest_runtest_protocol",
    ]
