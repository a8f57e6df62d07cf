"""Parts that several readers use."""
