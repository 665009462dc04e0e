"""Events over UDP: a source, a sender, and the formats of their packets."""
