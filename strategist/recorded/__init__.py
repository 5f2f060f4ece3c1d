"""Recorded conversations: read from a file, masked, cut into turns, kept as traces."""
