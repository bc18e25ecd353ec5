"""Linking the clusters of one date to the open tracks: arrays in, arrays out."""
