"""The evidence: experiments with stored results, and the report that is computed from them.

Run `python -m validation` from the root of the repository; it is not part of the installed package.
"""
