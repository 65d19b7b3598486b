"""Test helpers that are shipped: the contract of backends, and wrappers that add a fault."""
