"""The network as an ONNX graph, written without torch."""
