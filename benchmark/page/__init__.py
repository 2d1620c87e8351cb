"""The page: finished runs as one HTML file that opens from disk, and as LaTeX and a picture."""
