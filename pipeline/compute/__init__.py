"""Mathematics: arrays in, arrays out; no Arrow tables, no Ray, no files (DESIGN.md §3)."""
