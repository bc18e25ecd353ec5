"""The looks of a date's clusters: their exemplars' projected vectors."""

import pyarrow as pa
import pyarrow.compute as pc


def exemplars(clusters: pa.Table, fingerprints: pa.Table, model: pa.Table) -> pa.Table:
    """``image_id`` and projected, unit-length ``vector`` of every image in ``clusters.exemplar_image_ids``.

    Args:
        clusters: The date's ``schemas.CLUSTERS`` (``exemplar_image_ids`` is read).
        fingerprints: The date's ``schemas.FINGERPRINTS`` (``image_id`` and ``vector`` are read).
        model: One row of ``schemas.PROJECTION``.

    Returns:
        Sorted by ``image_id``.
    """
    from pipeline.stages.projection import content_of
    from pipeline.stages.vectors import to_column

    wanted = pc.list_flatten(clusters["exemplar_image_ids"])
    shown = fingerprints.filter(pc.is_in(fingerprints["image_id"], value_set=wanted))
    ids, vectors = content_of(model, shown)
    return pa.table({"image_id": pa.array(ids, pa.string()), "vector": to_column(vectors)})
