"""Ready queries over the tables, for ``imagetracks sql`` and the README; every view has its partition as a column."""

from dataclasses import dataclass

START, END = "<!-- queries -->", "<!-- /queries -->"


@dataclass(frozen=True)
class Query:
    """A question, its SQL for DuckDB, and how Polars puts it where that differs.

    ``polars`` is an expression in which every table is a ``LazyFrame`` under its name.
    """

    asks: str
    sql: str
    polars: str | None = None


QUERIES = {
    "images": Query(
        "images of a track (here of the largest)",
        """\
SELECT date, uri, probability FROM tracks
JOIN (SELECT track_id FROM track_summary ORDER BY num_images DESC, track_id LIMIT 1) AS largest USING (track_id)
ORDER BY date, uri""",
        """\
tracks.join(track_summary.sort(["num_images", "track_id"], descending=[True, False]).head(1), on="track_id")
.select("date", "uri", "probability").sort("date", "uri")""",
    ),
    "alive": Query(
        "tracks alive on a date (here on the last)",
        """\
SELECT track_id, first_date, last_date, num_images FROM track_summary
WHERE (SELECT max(date) FROM looks) BETWEEN first_date AND last_date
ORDER BY first_date, track_id""",
        """\
track_summary.join(looks.select(pl.col("date").max().alias("day")), how="cross")
.filter(pl.col("day").is_between("first_date", "last_date"))
.select("track_id", "first_date", "last_date", "num_images").sort("first_date", "track_id")""",
    ),
    "fastest": Query(
        "fastest changers: cosine distance a day",
        """\
SELECT track_id, date, per_day, from_previous, gap_days FROM looks
WHERE per_day IS NOT NULL ORDER BY per_day DESC, track_id, date LIMIT 10""",
    ),
    "changes": Query(
        "when looks changed: the first date of each new look",
        """\
SELECT track_id, unnest(change_dates) AS changed FROM track_summary ORDER BY changed, track_id""",
        """\
track_summary.select("track_id", pl.col("change_dates").alias("changed")).explode("changed").drop_nulls()
.sort("changed", "track_id")""",
    ),
    "splits": Query(
        "tracks that split: what began, and what it left",
        """\
SELECT date, track_id, other_track_id, probability FROM events
WHERE kind = 'split' ORDER BY probability DESC, track_id""",
    ),
    "together": Query(
        "co-occurrence: tracks seen on the same dates",
        """\
SELECT a.track_id, b.track_id AS other_track_id, count(*) AS dates FROM looks AS a JOIN looks AS b ON a.date = b.date
WHERE a.track_id < b.track_id GROUP BY a.track_id, b.track_id ORDER BY dates DESC, a.track_id, b.track_id LIMIT 10""",
        """\
looks.join(looks, on="date", suffix="_b").filter(pl.col("track_id") < pl.col("track_id_b"))
.group_by("track_id", pl.col("track_id_b").alias("other_track_id")).agg(pl.len().alias("dates"))
.sort(["dates", "track_id", "other_track_id"], descending=[True, False, False]).head(10)""",
    ),
    "review": Query(
        "images to review: the least certain links",
        """\
SELECT date, track_id, probability, uri FROM tracks
WHERE probability < 0.9 ORDER BY probability, uri LIMIT 20""",
    ),
    "unusual": Query(
        "each track's most unusual image",
        """\
SELECT s.track_id, t.uri FROM track_summary AS s JOIN tracks AS t ON t.image_id = s.unusual_image_id
ORDER BY s.track_id""",
        """\
track_summary.join(tracks, left_on="unusual_image_id", right_on="image_id")
.select("track_id", "uri").sort("track_id")""",
    ),
    "failed": Query(
        "images that could not be read, and why",
        """\
SELECT reason, count(*) AS images, min(uri) AS one FROM images
WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason""",
    ),
    "renamed": Query(
        "what runs did to images that had a track already",
        "SELECT run, why, count(*) AS images FROM changes GROUP BY run, why ORDER BY run, why",
    ),
    "cost": Query(
        "what a run cost: seconds, and what it computed",
        "SELECT run, clustering, seconds, computed FROM runs ORDER BY run DESC",
    ),
}


def insert_queries(readme: str) -> str:
    """The README's text with the queries between their marks."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    heading = "<details><summary>Ready queries</summary>"
    return f"{before}{START}\n\n{heading}\n\n```sql\n{_listed()}\n```\n\n</details>\n\n{END}{after}"


def _listed() -> str:
    return "\n\n".join(f"-- {name}: {one.asks}\n{one.sql};" for name, one in QUERIES.items())
