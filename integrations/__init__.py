"""One file per framework; nothing is imported until you import the one you use."""
