"""A pipeline of tiny stages. Tests copy this folder to edit its files; names follow the copy."""
