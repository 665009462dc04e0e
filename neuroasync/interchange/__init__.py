"""Networks of other frameworks: import them as bundles, and export bundles for them."""
