"""The contracts between the rooms: ingress, flow, events."""
