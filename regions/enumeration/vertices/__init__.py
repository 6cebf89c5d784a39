"""The engine that splits polytopes with vertices: the workhorse of low dimensions."""
