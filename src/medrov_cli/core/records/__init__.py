"""Frozen records and arrays that pass between packages."""
