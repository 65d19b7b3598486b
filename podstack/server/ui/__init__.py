"""The web pages. Each module with pages is named in `server/parts.py`, on a line of its own."""
