"""What faults of the hardware and other orders do to a network."""
