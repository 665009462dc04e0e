"""The live page: draw a digit and watch a network recognize it in two runs, side by side."""

from neuroasync.serve.page.routes import page_routes

__all__ = ["page_routes"]
