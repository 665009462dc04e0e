"""Import and export of the Neuromorphic Intermediate Representation (NIR)."""
