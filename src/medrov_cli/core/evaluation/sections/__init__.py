"""Sections of the report of schema ``medrov.eval/1``, one file each."""
