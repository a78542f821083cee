"""The Code World Model: its architecture, its decoding and its language."""
