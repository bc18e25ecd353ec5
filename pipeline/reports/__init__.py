"""Reports: tables in, table or picture out (DESIGN.md §3)."""
