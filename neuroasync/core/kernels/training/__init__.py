"""What the kernels of the forward pass record for the trainer, and never otherwise."""
