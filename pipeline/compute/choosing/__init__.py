"""Choosing a setting of a clusterer without labels: what is tried, how it scores, and which rule decides."""
