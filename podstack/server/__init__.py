"""The podstack server: a store over HTTP, behind tokens."""
