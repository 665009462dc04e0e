"""File formats: bundles and spike files, read strictly and written atomically."""
