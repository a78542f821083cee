"""Every performance claim as a script that runs ours and its peer and prints the ratio.

``make bench`` runs them all; ``python -m benchmarks.NAME`` runs one. Figures of two runs, or of two
machines, do not compare: only the ratios inside one run do.
"""
