"""Test helpers that are shipped: the contract every backend must pass, and wrappers that add a fault."""
