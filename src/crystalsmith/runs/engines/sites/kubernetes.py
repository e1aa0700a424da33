"""Pods of a Kubernetes cluster. Copy it, change what is not yours, and give --engine parsl:THE_COPY.py.

Unchanged it reads the environment: SITE_IMAGE (holds crystalsmith and parsl in the versions of here),
SITE_NODES (pods, 1), SITE_NAMESPACE (default), SITE_CORES (of a pod, 1), SITE_MEMORY (4Gi), SITE_CLAIM
(name:path of a volume that this pod mounts too), SITE_ADDRESS (of this pod), SITE_INIT and SITE_PORTS as for
SLURM. Parsl needs the package kubernetes for it.
"""

import os
from pathlib import Path

from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.jobs.error_handlers import windowed_error_handler
from parsl.providers import KubernetesProvider

from crystalsmith.errors import ConfigError
from crystalsmith.runs.engines.site_values import Site


def site(workers: int | None, folder: Path) -> Config:
    """Args: processes of each pod, or None for one a core; folder for what Parsl writes."""
    here = Site.of_environment()
    image = os.environ.get("SITE_IMAGE")
    if not image:
        raise ConfigError("set SITE_IMAGE to an image that holds crystalsmith and parsl")
    cores, memory = here.cores or 1, os.environ.get("SITE_MEMORY", "4Gi")
    name, _, path = os.environ.get("SITE_CLAIM", "").partition(":")
    return Config(
        executors=[
            HighThroughputExecutor(
                label="kubernetes",
                provider=KubernetesProvider(
                    image=image,
                    namespace=os.environ.get("SITE_NAMESPACE", "default"),
                    init_blocks=1,
                    min_blocks=0,
                    max_blocks=here.nodes,
                    init_cpu=cores,
                    max_cpu=cores,
                    init_mem=memory,
                    max_mem=memory,
                    worker_init=here.init,
                    persistent_volumes=[(name, path)] if name else [],
                ),
                **{**here.of_workers(workers or cores), "worker_logdir_root": "/tmp"},
                block_error_handler=windowed_error_handler,
            )
        ],
        strategy="htex_auto_scale",
        max_idletime=120,
    )
