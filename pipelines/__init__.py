"""What is run: recipes, each readable on one screen."""
