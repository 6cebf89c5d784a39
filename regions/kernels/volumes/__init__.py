"""Volumes of polytopes given by vertices and incidence."""
