"""What task files share: the contract, encodings, splits, and the cache of what takes long to make."""
