"""What the Ray engine makes of errors and deaths: one cluster, many jobs."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

JOBS = """
import json, os, signal, tempfile, time
import pyarrow as pa
from pipeline.errors import ImagetracksError, UserError, WorkerDiedError
from pipeline.resources import Resources
from pipeline.runtime.engine import Call, Fragment, MapJob
from pipeline.runtime.engines import engine_maker

engine = engine_maker("ray", None, Resources(num_cpus=2, retries=1))()
found = {}

def units(count):
    return [pa.table({"n": [i, i]}) for i in range(count)]

def first(rows):
    return rows["n"][0].as_py()

deaths = tempfile.NamedTemporaryFile()

def die(name=deaths.name):
    with open(name, "a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)

def read(rows):
    yield rows

def read_slowly(rows):
    time.sleep(0.2)
    yield rows

def read_or_fail(rows):
    if first(rows) == 3:
        raise UserError("unit 3 is\\nnot for us")
    time.sleep(0.2)
    yield rows

def read_or_die(rows):
    if first(rows) == 3:
        die()
    yield rows

def write(rows):
    return Fragment(str(first(rows)), 1, {"d": rows.num_rows}, {"corrupt": 1})

def write_or_fail(rows):
    raise OSError(28, "No space left on device")

def worker_or_die(device, threads):
    def work(rows):
        if first(rows) == 3:
            die()
        return rows
    return work

def no_worker(device, threads):
    raise UserError("no weights")

def outcome(run):
    try:
        return run()
    except Exception as error:
        return [type(error).__name__, str(error)]

def mapped(count, read=read, write=write, worker=None, progress=lambda done, failed: None):
    made = engine.map(MapJob(units(count), read, write, 2, worker), progress)
    return sorted(int(one.path) for one in made)

seen = [0, 0]
def count(done, failed):
    seen[0] += done
    seen[1] += failed.get("corrupt", 0)

found["counted"] = [outcome(lambda: mapped(6, progress=count)), seen]
found["reader died"] = outcome(lambda: mapped(6, read_or_die))
found["reader's deaths"] = len(open(deaths.name).read())
found["worker died"] = outcome(lambda: mapped(6, worker=worker_or_die))
found["worker's deaths"] = len(open(deaths.name).read()) - found["reader's deaths"]
found["reader failed"] = outcome(lambda: mapped(60, read_or_fail))
found["worker failed"] = outcome(lambda: mapped(6, worker=no_worker))
found["sink failed"] = outcome(lambda: mapped(6, write=write_or_fail))

done = [0]
def refuse(more, failed):
    done[0] += more
    if done[0] >= 4:
        raise ImagetracksError("enough")

found["refused"] = outcome(lambda: mapped(200, read_slowly, progress=refuse))
found["done when refused"] = done[0]

def call(what, *, threads, gpu):
    if what == "die":
        die()
    if what == "denied":
        raise PermissionError(13, "Permission denied", "/there")
    if what == "fail":
        raise UserError("a call failed")
    return what

def called(*what):
    got = []
    try:
        for key, _ in engine.call([Call("stage", f"{n}-{one}", call, (one,)) for n, one in enumerate(what)]):
            got.append(key)
    except WorkerDiedError as error:
        return [sorted(got), list(error.keys), str(error)]
    return sorted(got)

found["calls died"] = called("a", "die", "b", "die", "c")
found["call failed"] = outcome(lambda: called("a", "fail"))
found["call denied"] = outcome(lambda: called("a", "denied"))
found["all there"] = mapped(4, worker=lambda device, threads: lambda rows: rows)
engine.close()
print(json.dumps(found))
"""


def test_errors_and_deaths() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", JOBS], env=env, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # nor does Ray say anything of its own
    found = json.loads(done.stdout)
    assert found["counted"] == [[0, 1, 2, 3, 4, 5], [12, 6]]
    assert found["reader died"] == [0, 1, 2, 4, 5]
    left_out = set(range(6)) - set(found["worker died"])
    assert 3 in left_out
    assert len(left_out) <= 2  # what was in flight with it, each time, has had its tries too; both are done apart
    assert (found["reader's deaths"], found["worker's deaths"]) == (1, 2)  # of a decoder and of an extractor
    assert found["reader failed"] == ["UserError", "unit 3 is\nnot for us"]
    assert found["worker failed"] == ["UserError", "no weights"]
    assert found["sink failed"] == ["OSError", "[Errno 28] No space left on device"]
    assert found["refused"] == ["ImagetracksError", "enough"]
    assert found["done when refused"] < 100  # of 400: the rest was left
    got, died, message = found["calls died"]
    assert (got, died) == (["0-a", "2-b", "4-c"], ["1-die", "3-die"])
    assert message.startswith("stage of 1-die, 3-die: the worker died, and it was given up after try 2 (WorkerCrashed")
    assert found["call failed"] == ["UserError", "a call failed"]
    # As it was raised: what a person is told is made of it, and is no piece of Ray's coloured traceback.
    assert found["call denied"] == ["PermissionError", "[Errno 13] Permission denied: '/there'"]
    assert found["all there"] == [0, 1, 2, 3]
