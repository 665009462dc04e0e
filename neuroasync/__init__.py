"""An asyncio-native runtime for spiking neural networks without layer synchronization."""
