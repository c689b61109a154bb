"""Where jobs run: this process, spawned local processes, or a Ray cluster."""

from carpet_data.executor.driver import ENGINES, Engine, Progress, default_workers, run, use, using

__all__ = ["ENGINES", "Engine", "Progress", "default_workers", "run", "use", "using"]
