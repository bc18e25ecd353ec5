"""A stand-in for several GPUs, to test who is given what; that a GPU computes the same, `make test-gpu` has to show.

FAISS's sharding and its replicas are the same code on CPU and GPU: here over copies of the index on the CPU.
"""

from typing import Any

import faiss
import pytest
from faiss import extra_wrappers


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> list[tuple[int, bool]]:
    """Let FAISS see so many GPUs; the list fills with (GPUs, sharded) of each index that is put on them."""
    seen: list[tuple[int, bool]] = []

    def index_cpu_to_all_gpus(index: Any, co: Any = None, ngpu: int = -1) -> Any:
        used = count if ngpu == -1 else ngpu
        shard = co is not None and co.shard
        seen.append((used, shard))
        if used == 1:
            return faiss.clone_index(index)
        flat = isinstance(index, faiss.IndexFlat)
        several = faiss.IndexShards(index.d, True, flat) if shard else faiss.IndexReplicas(index.d, True)
        for _ in range(used):
            one = faiss.clone_index(index)
            faiss.add_to_referenced_objects(several, one)  # FAISS itself keeps a pointer
            several.addIndex(one)
        return several

    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", index_cpu_to_all_gpus)
    for module in (faiss, extra_wrappers):
        monkeypatch.setattr(module, "get_num_gpus", lambda: count)
    return seen
