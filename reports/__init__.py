"""What was seen: reads records, compares two of them, explains and renders the differences.

Imports neither torch nor transformers nor fixtures: every observation carries its own tolerance,
law sentence and reproduction, so that comparing works on a machine that has nothing else.
"""
