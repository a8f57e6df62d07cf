"""Synthetic phantoms: images that are clearly not patients, with exact boxes.

Each generator is a pure function of its seed and returns the pixels together with one
mask per drawn object; every box is the bounding box of such a mask.
"""
