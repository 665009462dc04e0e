"""Parts of the training loop: its results, the checks of its data, and its single steps."""
