"""One file per kind of store, found through the entry points of `podstack.backends`."""
