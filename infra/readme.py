"""Write the generated parts of the README (``make docs``); a test checks that they are up to date."""

from pathlib import Path

from pipeline.reports.queries import insert_queries
from pipeline.reports.schema_docs import insert_tables

if __name__ == "__main__":
    readme = Path(__file__).parent.parent / "README.md"
    readme.write_text(insert_queries(insert_tables(readme.read_text(encoding="utf-8"))), encoding="utf-8")
