"""Stages: a frozen value and a function, Arrow in, Arrow out; no Ray, no paths (DESIGN.md §3)."""
