"""Parameters of neurons in training: those that are learned, and the factors of their decays."""
