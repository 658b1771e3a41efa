"""What people read: flow and packets as text, CSV and JSON."""
