"""From a run or a retirement stream to a trace."""
