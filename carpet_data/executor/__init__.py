"""Where jobs run: this process, or spawned local processes."""

from carpet_data.executor.local import default_workers, run

__all__ = ["default_workers", "run"]
