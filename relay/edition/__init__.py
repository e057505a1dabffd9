"""The whole book for readers: as text, or as pages for a browser that need no server."""
