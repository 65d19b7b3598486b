"""Read the metrics of all runs without podstack: a store is JSON lines, and DuckDB reads those."""

try:
    import duckdb
except ModuleNotFoundError:
    raise SystemExit("This example needs DuckDB: pip install duckdb") from None

from podstack import MLOpsClient

# Something to read: two runs.
client = MLOpsClient()
experiment = client.create_experiment("duckdb")
for decay in (0.9, 0.8):
    with client.start_run(experiment_id=experiment.id, params={"decay": decay}) as run:
        for step in range(30):
            run.log_metrics({"loss": decay**step}, step=step)

# From here on podstack is not needed. A line is {"s": step, "t": seconds, "v": {name: value}};
# where a step was logged more than once, as after a crash, what came last counts.
QUERY = """
with points as (
    select regexp_extract(filename, 'runs/([^/]+)/metrics/', 1) as run,
           unnest(map_entries(v)) as metric, s as step, t as time
    from read_ndjson($lines, filename = true, ignore_errors = true,
                     columns = {s: 'bigint', t: 'double', v: 'map(varchar, double)'})
), views as (
    select run, metric.key as metric, step, arg_max(metric.value, time) as value
    from points group by all
)
select run, metric, count(*) as steps, arg_max(value, step) as last, min(value) as lowest
from views group by all order by all
"""
lines = f"{client.uri}/projects/*/runs/*/metrics/*/*.jsonl"
print(duckdb.sql(QUERY, params={"lines": lines}))
