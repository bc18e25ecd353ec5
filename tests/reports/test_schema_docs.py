"""The README's tables."""

import pytest

from pipeline.errors import ImagetracksError
from pipeline.reports.schema_docs import END, START, insert_tables, render_tables
from pipeline.schemas import TABLES


def test_every_table_and_column_is_there_with_its_sentence():
    text = render_tables()
    for table in TABLES:
        assert f"<summary><b><code>{table.name}</code></b>: " in text
        assert table.doc.replace("<", "&lt;") in text
        for column in table.columns:
            assert f"| `{column.name}` | " in text
            assert column.doc.replace("<", "&lt;").replace("|", "\\|") in text


def test_it_is_well_formed_markdown():
    for line in render_tables().splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == 4
        assert line.startswith(("<details>", "<summary>", "</details>")) or "<" not in line.split("`", 1)[0]
    assert render_tables().count("<details>") == render_tables().count("</details>") == len(TABLES)


def test_it_goes_between_the_markers_and_nowhere_else():
    readme = f"before\n{START}\nWhat was here before.\n{END}\nafter\n"
    new = insert_tables(readme)
    assert new.startswith(f"before\n{START}\n\n<details>")
    assert new.endswith(f"{END}\nafter\n")
    assert "What was here" not in new
    assert insert_tables(new) == new


@pytest.mark.parametrize("readme", ["", START, END + START, f"{START}{END}{START}{END}"])
def test_a_readme_without_one_section_is_refused(readme):
    with pytest.raises(ImagetracksError, match="expected one"):
        insert_tables(readme)
