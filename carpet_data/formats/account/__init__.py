"""What reading a folder made of each file in it, and whether that is enough to go on."""
