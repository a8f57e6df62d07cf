"""Images of a DICOMweb service as inputs."""
