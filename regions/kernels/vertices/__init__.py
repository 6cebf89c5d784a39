"""The depth-first walk on polytopes with vertices: polygons as rings, others by incidence."""
