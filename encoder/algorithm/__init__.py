"""The spec's flow chart, its plain stretches, and the queue of packets it fills."""
