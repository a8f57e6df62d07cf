"""Reading of MetaImage files."""
