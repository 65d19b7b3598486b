"""The `podstack` command."""
