"""The layouts of MVTec AD, MVTec AD 2 and MVTec LOCO AD."""
