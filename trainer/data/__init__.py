"""Raw images of data sets, and which of them a benchmark keeps."""
