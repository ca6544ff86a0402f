"""JSON below the stages: the parser and its sinks, paths, documents in a stream, and strings that go through a pipeline."""
