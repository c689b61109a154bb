"""What every work with torch shares: devices, memory, checkpoints. It knows nothing of images or of tasks.

Nothing is imported here; its modules need the extra `train`.
"""
