"""For tests of firmware and encoders: traces held against references (the plugin pytest-etrace)."""

from etrace.testing.matching import assert_trace_matches

__all__ = ["assert_trace_matches"]
