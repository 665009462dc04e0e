"""The live page: draw a digit, and watch two orders recognise it beside each other."""

from neuroasync.serve.page.routes import page_routes

__all__ = ["page_routes"]
