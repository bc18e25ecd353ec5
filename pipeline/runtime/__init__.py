"""What is stale, which engine, how parts become a commit; the only place that imports ray (DESIGN.md §3)."""
