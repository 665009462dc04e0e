"""Files: bundles and spike files, read strictly and written atomically."""
