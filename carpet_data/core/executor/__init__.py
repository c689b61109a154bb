"""Where jobs run: this process, spawned local processes, or a Ray cluster."""

from carpet_data.core.executor.driver import ENGINES, Engine, default_workers, engine, run

__all__ = ["ENGINES", "Engine", "default_workers", "engine", "run"]
