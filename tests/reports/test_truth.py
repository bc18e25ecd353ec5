"""Reading labels from every form, by every name of an image."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.compute.identity import image_id
from pipeline.errors import UserError
from pipeline.reports.truth import read_truth, read_truth_events


def labels(*arguments, **options):
    return {row["image_id"]: row["identity"] for row in read_truth(*arguments, **options).to_pylist()}


def csv(tmp_path, text, name="truth.csv"):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(file)


WANTED = {image_id("a/1.jpg"): "007", image_id("a/2.jpg"): "008"}


def test_csv_keeps_labels_as_text_and_leaves_unlabelled_rows_out(tmp_path):
    file = csv(tmp_path, 'path,weight,identity\na/1.jpg,1,007\n"a/2.jpg",x,008\na/3.jpg,3,\n,4,9\n')
    assert labels(file) == WANTED
    assert read_truth(file)["key"].to_pylist() == ["a/1.jpg", "a/2.jpg"]


def test_tsv_json_lines_and_parquet_say_the_same(tmp_path):
    rows = [{"path": "a/1.jpg", "identity": "007"}, {"path": "a/2.jpg", "identity": "008"}]
    assert labels(csv(tmp_path, "path\tidentity\na/1.jpg\t007\na/2.jpg\t008\n", "t.tsv")) == WANTED
    assert labels(csv(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")) == WANTED
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    assert labels(str(tmp_path / "t.parquet")) == WANTED


def test_numbers_become_text(tmp_path):
    pq.write_table(pa.table({"path": ["a"], "identity": [7]}), tmp_path / "t.parquet")
    assert labels(str(tmp_path / "t.parquet")) == {image_id("a"): "7"}


def test_another_column_and_an_id_column(tmp_path):
    assert labels(csv(tmp_path, "image_id,path,who\nabc,x.jpg,me\n"), "who") == {"abc": "me"}


@pytest.mark.parametrize(
    "path", ["a/1.jpg", "./a/1.jpg", "{root}/a/1.jpg", "file://{root}/a/1.jpg", "{root}/b/../a/1.jpg"]
)
def test_a_path_relative_or_absolute_or_a_uri(tmp_path, path):
    file = csv(tmp_path, f"path,identity\n{path.format(root=tmp_path / 'photos')},x\n")
    assert labels(file, collection_root=str(tmp_path / "photos")) == {image_id("a/1.jpg"): "x"}


@pytest.mark.parametrize("root", ["s3://bucket/photos", "s3://bucket/photos/"])
def test_a_uri_in_a_bucket(tmp_path, root):
    file = csv(tmp_path, "uri,identity\ns3://bucket/photos/a/1.jpg,x\n")
    assert labels(file, collection_root=root) == {image_id("a/1.jpg"): "x"}


@pytest.mark.parametrize("root", ["", "images"])
def test_a_path_relative_to_the_files_folder_where_that_is_what_matches(tmp_path, root):
    file = csv(tmp_path, "path,identity\nimages/1.jpg,x\n")
    key = "1.jpg" if root else "images/1.jpg"
    ids = pa.chunked_array([[image_id(key), "other"]])
    assert labels(file, collection_root=str(tmp_path / root), image_ids=ids) == {image_id(key): "x"}


def test_a_path_relative_to_the_collection_wins_where_it_matches(tmp_path):
    file = csv(tmp_path, "path,identity\nimages/1.jpg,x\n", "meta/truth.csv")
    ids = pa.chunked_array([[image_id("images/1.jpg")]])
    assert labels(file, collection_root=str(tmp_path), image_ids=ids) == {image_id("images/1.jpg"): "x"}


def test_one_label_an_image(tmp_path):
    assert labels(csv(tmp_path, "path,identity\na,x\na,x\n")) == {image_id("a"): "x"}
    with pytest.raises(UserError, match=r"a has labels 'x' and 'y', expected one"):
        read_truth(csv(tmp_path, "path,identity\na,x\nb,x\na,y\n"))


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("path,identty\na,x\n", "identity", "no column identity; did you mean identty?"),
        ("path,q\na,x\n", "identity", "no column identity; found path, q"),
        ("file,identity\na,x\n", "identity", "no column image_id, path or uri; found file, identity"),
        ("path,identity\na,x,y\n", "identity", "not readable as CSV"),
        ("", "identity", "not readable as CSV"),
    ],
)
def test_files_that_are_no_truth(tmp_path, text, column, message):
    with pytest.raises(UserError) as caught:
        read_truth(csv(tmp_path, text), column)
    assert message in str(caught.value)


@pytest.mark.parametrize(("name", "form"), [("t.parquet", "PARQUET"), ("t.jsonl", "JSON")])
def test_files_of_another_form(tmp_path, name, form):
    with pytest.raises(UserError, match=f"not readable as {form}"):
        read_truth(csv(tmp_path, "path,identity\na,x\n", name))


@pytest.mark.parametrize("file", ["/nowhere/truth.csv", "nosuchscheme://a/t.csv"])
def test_a_file_that_is_not_there(file):
    with pytest.raises(UserError, match="cannot be read"):
        read_truth(file)


def test_events(tmp_path):
    file = csv(tmp_path, "kind,date,identity,other\nsplit,2024-01-02,a,b\nend,2024-01-03,1,\n")
    assert read_truth_events(file).to_pylist() == [
        {"kind": "split", "date": "2024-01-02", "identity": "a", "other": "b"},
        {"kind": "end", "date": "2024-01-03", "identity": "1", "other": None},
    ]
    with pytest.raises(UserError, match=r"no column other"):
        read_truth_events(csv(tmp_path, "kind,date,identity\n"))
