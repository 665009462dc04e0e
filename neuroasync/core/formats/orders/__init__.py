"""Run modes as data: distributions over them, and certificates of what was measured in them."""
