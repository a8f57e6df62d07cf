"""YOLO-World v2."""
