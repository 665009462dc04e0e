"""The network as data: populations, connections and topologies."""
