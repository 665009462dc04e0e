"""Ring 1: the asyncio runtime. It decides when passes run, never what they compute."""
