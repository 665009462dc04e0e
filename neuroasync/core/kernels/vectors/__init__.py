"""Inner loops that are written as LLVM vector code, because numba does not vectorise them well."""
