"""The network as data: populations, connections, topologies."""
