"""Forage: mutate-fix trajectories of a scripted agent on real functions."""
