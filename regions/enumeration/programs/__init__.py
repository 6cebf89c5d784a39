"""The engine that walks by linear programs: any dimension, no vertices."""
