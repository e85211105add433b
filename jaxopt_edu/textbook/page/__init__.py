"""From findings to one self-contained HTML page."""
