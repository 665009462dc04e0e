"""``neuroasync serve``: a network behind HTTP and websockets, with a live page."""
