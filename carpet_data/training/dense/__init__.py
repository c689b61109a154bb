"""The dense head: a small head on each cell of the feature maps of a frozen backbone, which learns from the masks.

From one fit come the class of the image, the class of each pixel, the defects with their boxes, and how anomalous the
image is. Nothing is imported here: options and run folders are read without torch.
"""
