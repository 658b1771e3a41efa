"""What a flow shows: events, inventory, the cause of an end."""
