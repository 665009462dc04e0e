"""What a study measures: cases, modes, regimes and stop rules."""
