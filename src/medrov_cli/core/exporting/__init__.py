"""The procedure behind ``medrov export``: weights become a file for other programs and for engines."""
