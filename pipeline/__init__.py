"""imagetracks: follow the same subject through millions of photographs, date by date."""

__version__ = "0.1.0"
