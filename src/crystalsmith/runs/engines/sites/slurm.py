"""Nodes of a SLURM cluster. Copy it, change what is not yours, and give --engine parsl:THE_COPY.py.

Unchanged it reads the environment: SITE_PARTITION, SITE_ACCOUNT, SITE_NODES (of all jobs together, 1),
SITE_WALLTIME (01:00:00), SITE_CORES (of a node), SITE_GPUS (of a node, 0), SITE_OPTIONS (lines of #SBATCH),
SITE_INIT (commands before the workers start, such as "module load python"), SITE_ADDRESS (of this machine, as
the nodes reach it) and SITE_PORTS (such as 54000-54100, where a firewall leaves some open).
"""

from pathlib import Path

from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.jobs.error_handlers import windowed_error_handler
from parsl.providers import SlurmProvider

from crystalsmith.runs.engines.site_values import Site


def site(workers: int | None, folder: Path) -> Config:
    """Args: processes of each node, or None for one a core; folder for what Parsl writes."""
    here = Site.of_environment()
    return Config(
        executors=[
            HighThroughputExecutor(
                label="slurm",
                provider=SlurmProvider(
                    partition=here.partition,
                    account=here.account,
                    nodes_per_block=1,  # a node that is lost then costs its own tasks only
                    init_blocks=1,
                    min_blocks=0,
                    max_blocks=here.nodes,
                    cores_per_node=here.cores,
                    gpus_per_node=here.gpus or None,
                    walltime=here.walltime,
                    scheduler_options=here.options,
                    worker_init=here.init,
                    exclusive=False,
                ),
                **here.of_workers(workers),
                block_error_handler=windowed_error_handler,
            )
        ],
        strategy="htex_auto_scale",
        max_idletime=120,
    )
