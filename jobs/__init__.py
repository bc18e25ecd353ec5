"""Thin entry points for `ray job submit` and schedulers."""
