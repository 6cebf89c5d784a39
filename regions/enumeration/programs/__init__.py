"""The engine that decides by linear programs: any dimension, no vertices."""
