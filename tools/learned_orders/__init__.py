"""Orders and stop rules that are learned; writes ``docs/results/learned-orders.md``."""
