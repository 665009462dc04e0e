"""An independent, slow implementation of the forward pass, to test the engines against."""
